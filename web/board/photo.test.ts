import assert from "node:assert/strict";
import test from "node:test";

import { ATTEMPTS, base64, bytesOf, fit, MAX_PHOTO_BYTES, photosOf, smallest, withPhotos } from "./photo.ts";
import { applyEvent, applySnapshot, fold, NO_KITCHEN, readEvent, readSnapshot, type Kitchen } from "./kitchen.ts";
import { chance, mess } from "../live/random.test-support.ts";
import { outgoing, photo } from "./entries.ts";
import { readBatch } from "./batch.ts";
import { withRecords } from "./hints.ts";

const random = chance(7);
const whole = (n: number) => Math.floor(random() * n);

const T = 1_764_000_000_000;

test("a picture keeps its shape, never grows, and has no side of nothing", () => {
  assert.deepEqual(fit(4000, 3000, 1280), { width: 1280, height: 960 });
  assert.deepEqual(fit(3000, 4000, 1280), { width: 960, height: 1280 });
  assert.deepEqual(fit(640, 480, 1280), { width: 640, height: 480 });
  assert.deepEqual(fit(20_000, 1, 1280), { width: 1280, height: 1 });
  for (let i = 0; i < 500; i++) {
    const [w, h, most] = [1 + whole(9_000), 1 + whole(9_000), 1 + whole(2_000)] as const;
    const f = fit(w, h, most);
    assert.ok(f.width >= 1 && f.height >= 1 && f.width <= Math.min(w, most) && f.height <= Math.min(h, most), `${w} ${h} ${most}`);
  }
});

test("the first that fits is taken, and nothing that does not fit", async () => {
  const of = (sizes: readonly (number | undefined)[]) => {
    const asked: number[] = [];
    return smallest(async (side) => {
      const size = sizes[asked.push(side) - 1];
      return size === undefined ? undefined : new Blob([new Uint8Array(size)]);
    }).then((blob) => [blob?.size, asked.length]);
  };
  assert.deepEqual(await of([1_000]), [1_000, 1]);
  assert.deepEqual(await of([MAX_PHOTO_BYTES + 1, MAX_PHOTO_BYTES]), [MAX_PHOTO_BYTES, 2]);
  assert.deepEqual(await of([undefined, 0, 7]), [7, 3]);
  assert.deepEqual(await of(ATTEMPTS.map(() => MAX_PHOTO_BYTES + 1)), [undefined, ATTEMPTS.length]);
});

test("bytes come back out of base64 as they were", () => {
  for (const n of [0, 1, 2, 3, 0x2fff, 0x3000, 0x3001, MAX_PHOTO_BYTES]) {
    const bytes = Uint8Array.from({ length: n }, () => whole(256));
    assert.equal(base64(bytes), Buffer.from(bytes).toString("base64"));
    assert.deepEqual(bytesOf(base64(bytes)), bytes);
  }
});

function told(k: Kitchen, version: number, more: object): Kitchen {
  const event = readEvent({ data: { type: "production_update", productionId: "p1", data: { version, ...more }, timestamp: T }, time: T });
  assert.ok(event);
  return fold(k, event);
}

const note = (id: string, at = T) => ({ id, productionId: "p1", note: id, takenAt: new Date(at).toISOString(), takenBy: "u1", width: 40, height: 30 });
const asIs = (at: number) => at;
const ids = (k: Kitchen) => photosOf(k.productions.get("p1"), [], asIs).map((p) => p.key);

test("photos of events gather, each once, also behind an answer that was quicker", () => {
  let k = told(NO_KITCHEN, 3, { status: "COOKING" });
  k = told(k, 4, { photoNote: note("a") });
  k = applyEvent(k, { kind: "updated", productionId: "p1", changes: { version: 6 }, timestamp: T }); // the answer to the second photo
  k = told(k, 5, { photoNote: note("b", T - 1) });
  k = told(k, 6, { photoNote: note("c") });
  k = told(k, 6, { photoNote: note("c") });
  assert.deepEqual(ids(k), ["b", "a", "c"]);
  assert.equal(k.productions.get("p1")?.version, 6);
});

test("a snapshot has none, and takes none away; records have all", () => {
  const k = told(told(NO_KITCHEN, 3, { status: "COOKING" }), 4, { photoNote: note("a") });
  const s = readSnapshot({ productions: [{ id: "p1", version: 4, status: "COOKING" }], alerts: [] });
  assert.ok(s);
  assert.deepEqual(ids(applySnapshot(k, k, s)), ["a"]);
  const row = withRecords(k.productions.get("p1")!, { checks: [], photoNotes: [note("b"), note("a"), { odd: 1 }, null] });
  assert.deepEqual(photosOf(row, [], asIs).map((p) => p.key), ["a", "b"]);
});

test("what waits on this device is shown behind what the server has", () => {
  const b = readBatch({ id: "p1" });
  const entry = (seq: number, batch: string, draft = photo(readBatch({ id: batch }), "QUJD", "tutup retak")) => {
    const { path, method, body, key = "", group = "" } = outgoing(draft, `k${seq}`, undefined, T);
    return { seq, path, method, body, key, group, enteredAt: T + seq, refusal: undefined };
  };
  const shown = photosOf({ ...b, photoNotes: [note("a")] }, [entry(1, "p1"), entry(2, "p2"), { ...entry(3, "p1"), body: { odd: true } }], asIs);
  assert.deepEqual(shown.map((p) => [p.key, p.note, p.path, p.data]), [
    ["a", "a", "/api/productions/p1/photos/a", undefined], ["k1", "tutup retak", undefined, "QUJD"],
  ]);
});

test("whatever stands in a row, photos are read without an error", () => {
  for (let i = 0; i < 300; i++) {
    const row = withPhotos({ id: "p1", photoNotes: mess(random) }, [mess(random), mess(random)]);
    for (const p of photosOf(row, [], asIs)) assert.equal(typeof p.path, "string");
  }
});
