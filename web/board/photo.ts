/**
 * Photos for the records: made small enough for a bad line, on the device. They are drawn anew, so what the camera wrote beside the
 * picture (place, time, device) is not in them.
 */

import { field, fields, list, text, instant, whole } from "../client/src/json.ts";
import { readKept } from "./entries.ts";
import type { Entry } from "../client/src/outbox.ts";

/** What a photo may have at most: 128 KiB in base64, 2.6 s at 400 kbit/s. The server takes twice as much. */
export const MAX_PHOTO_BYTES = 96 * 1024;

/** How a photo is made smaller and smaller, until it fits: longest side in pixels, and quality. The last one fits always. */
export const ATTEMPTS: readonly (readonly [side: number, quality: number])[] = [[1280, 0.8], [1280, 0.6], [960, 0.6], [640, 0.5], [320, 0.4]];

/** Returns the size of a picture whose longest side is at most most. */
export function fit(width: number, height: number, most: number): { readonly width: number; readonly height: number } {
  const scale = Math.min(1, most / Math.max(width, height, 1));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** Draws a picture anew and returns it as a JPEG; undefined if the browser cannot. */
export type Draw = (side: number, quality: number) => Promise<Blob | undefined>;

/** Returns the best picture that fits; undefined if there is none. */
export async function smallest(draw: Draw): Promise<Blob | undefined> {
  for (const [side, quality] of ATTEMPTS) {
    const blob = await draw(side, quality);
    if (blob !== undefined && blob.size > 0 && blob.size <= MAX_PHOTO_BYTES) return blob;
  }
  return undefined;
}

/** Returns a file that somebody has picked as a small JPEG in base64; undefined: it is no picture that this browser can read. */
export async function shrink(file: Blob): Promise<string | undefined> {
  let picture: ImageBitmap;
  try {
    picture = await open(file);
  } catch {
    return undefined;
  }
  try {
    const blob = await smallest((side, quality) => drawn(picture, side, quality));
    return blob === undefined ? undefined : base64(new Uint8Array(await blob.arrayBuffer()));
  } finally {
    picture.close();
  }
}

async function open(file: Blob): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch (e) {
    if (!(e instanceof TypeError)) throw e;
    return createImageBitmap(file); // older browsers turn it by themselves and do not know the word
  }
}

async function drawn(picture: ImageBitmap, side: number, quality: number): Promise<Blob | undefined> {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, fit(picture.width, picture.height, side));
  const pen = canvas.getContext("2d");
  if (pen === null) return undefined;
  pen.fillStyle = "#fff"; // where it was transparent
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob((blob) => done(blob ?? undefined), "image/jpeg", quality));
}

export function base64(bytes: Uint8Array): string {
  let out = "";
  for (let at = 0; at < bytes.length; at += 0x3000) out += btoa(String.fromCharCode(...bytes.subarray(at, at + 0x3000))); // a multiple of 3
  return out;
}

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

/** A photo on a screen: on the server, or still on this device. */
export interface Shown {
  readonly key: string;
  readonly at: number | undefined;
  readonly by: string | undefined; // id
  readonly note: string;
  readonly width: number;
  readonly height: number;
  /** Its address; undefined: it is not on the server yet, and is data. */
  readonly path: string | undefined;
  readonly data: string | undefined;
}

/** Returns the address of a photo's bytes. */
export function photoPath(productionId: string, id: string): string {
  return `/api/productions/${encodeURIComponent(productionId)}/photos/${encodeURIComponent(id)}`;
}

/** Reads what is known of a photo; undefined: it is none. */
export function readPhoto(row: unknown): Shown | undefined {
  const id = text(row, "id");
  const of = text(row, "productionId");
  if (id === undefined || of === undefined) return undefined;
  return {
    key: id, at: instant(row, "takenAt"), by: text(row, "takenBy"), note: text(row, "note") ?? "", width: whole(row, "width", 1) ?? 4, height: whole(row, "height", 1) ?? 3,
    path: photoPath(of, id), data: undefined,
  };
}

/** Returns the photos of a batch in the order of their taking, those that wait on this device behind the others. told makes its times the server's. */
export function photosOf(row: unknown, unsent: readonly Entry[], told: (at: number) => number): Shown[] {
  const stored = list(row, "photoNotes").flatMap((p) => readPhoto(p) ?? []).sort((a, b) => (a.at ?? 0) - (b.at ?? 0));
  const id = text(row, "id");
  const waiting = unsent.flatMap((e) => {
    const kept = readKept(e.body);
    const data = text(kept?.send, "photo");
    if (data === undefined || kept === undefined || kept.note.batchId !== id) return [];
    return [{ key: e.key, at: told(e.enteredAt), by: undefined, note: text(kept.send, "note") ?? "", width: 4, height: 3, path: undefined, data }];
  });
  return [...stored, ...waiting];
}

/** Returns a row with one more photo, or with those of an answer to GET /api/productions/{id}/records. */
export function withPhotos<T extends object>(row: T, more: readonly unknown[]): T {
  const known = list(row, "photoNotes");
  const ids = new Set(known.map((p) => text(p, "id")));
  const added = more.filter((p) => fields(p) !== undefined && text(p, "id") !== undefined && !ids.has(text(p, "id")));
  return added.length === 0 && field(row, "photoNotes") !== undefined ? row : { ...row, photoNotes: [...known, ...added] };
}
