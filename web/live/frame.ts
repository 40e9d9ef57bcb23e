/** The frames that the server sends in kentongan.v1, as values. docs/protocol.md owns their shapes. */

import { field, fields, instant, list, number, text } from "./json.ts";

/** The longest channel name on the wire. */
export const MAX_CHANNEL = 255;

/** A place in the history of one channel. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/** One message of a channel as it came. */
export interface Message {
  readonly channel: string;
  readonly position: Position;
  /** When the server took it in, ms since 1970 by the server's clock. */
  readonly time: number;
  readonly data: unknown;
}

/** What went wrong with a command. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly temporary: boolean;
}

/** What one frame says. `other` is a frame that this page has no use for. */
export type Frame =
  | { readonly kind: "message"; readonly message: Message }
  | { readonly kind: "gap"; readonly channel: string; readonly cause: string; readonly position: Position }
  | { readonly kind: "heartbeat"; readonly time: number | undefined; readonly offsets: ReadonlyMap<string, number> }
  | { readonly kind: "stale"; readonly since: number; readonly reason: string }
  | { readonly kind: "fresh"; readonly time: number | undefined }
  | { readonly kind: "goaway"; readonly reconnectInMs: number }
  | { readonly kind: "subscribed"; readonly channel: string; readonly position: Position; readonly cause: string | undefined }
  | { readonly kind: "unsubscribed"; readonly channel: string; readonly code: string }
  | { readonly kind: "history"; readonly channel: string; readonly messages: readonly Message[]; readonly cause: string | undefined }
  | { readonly kind: "error"; readonly id: number; readonly problem: Problem }
  | { readonly kind: "other" };

const OTHER: Frame = { kind: "other" };

/** Reads one text frame. What is no JSON, or has not the shape that it should, is `other`. */
export function readFrame(frame: string): Frame {
  let v: unknown;
  try {
    v = JSON.parse(frame);
  } catch {
    return OTHER;
  }
  for (const [name, read] of READERS) {
    const body = field(v, name);
    if (fields(body) !== undefined) return read(body, v) ?? OTHER;
  }
  return OTHER;
}

type Reader = (body: unknown, whole: unknown) => Frame | undefined;

const READERS: readonly (readonly [string, Reader])[] = [
  ["message", readPush],
  ["heartbeat", readHeartbeat],
  ["subscribed", readSubscribed],
  ["history", readHistory],
  ["gap", readGap],
  ["error", readError],
  ["stale", readStale],
  ["fresh", (b) => ({ kind: "fresh", time: instant(b, "time") })],
  ["goaway", (b) => ({ kind: "goaway", reconnectInMs: number(b, "reconnectInMs", 0, 3_600_000) ?? 0 })],
  ["unsubscribed", readUnsubscribed],
  ["pong", (b) => ({ kind: "heartbeat", time: instant(b, "time"), offsets: new Map() })],
  ["welcome", (b) => ({ kind: "heartbeat", time: instant(b, "time"), offsets: new Map() })],
];

function readPush(body: unknown): Frame | undefined {
  const channel = text(body, "channel", MAX_CHANNEL);
  const epoch = text(body, "epoch");
  const message = channel === undefined || epoch === undefined ? undefined : readMessage(body, channel, epoch);
  return message && { kind: "message", message };
}

function readMessage(body: unknown, channel: string, epoch: string): Message | undefined {
  const offset = number(body, "offset", 1, Number.MAX_SAFE_INTEGER);
  const time = instant(body, "time");
  if (offset === undefined || time === undefined) return undefined;
  return { channel, position: { epoch, offset }, time, data: field(body, "data") };
}

function readPosition(body: unknown): Position | undefined {
  const epoch = text(body, "epoch");
  const offset = number(body, "offset", 0, Number.MAX_SAFE_INTEGER);
  return epoch === undefined || offset === undefined ? undefined : { epoch, offset };
}

function readGap(body: unknown): Frame | undefined {
  const channel = text(body, "channel", MAX_CHANNEL);
  const position = readPosition(body);
  if (channel === undefined || position === undefined) return undefined;
  return { kind: "gap", channel, cause: text(body, "cause") ?? "unknown", position };
}

function readStale(body: unknown): Frame | undefined {
  const since = instant(body, "since");
  return since === undefined ? undefined : { kind: "stale", since, reason: text(body, "reason") ?? "unknown" };
}

function readSubscribed(body: unknown): Frame | undefined {
  const channel = text(body, "channel", MAX_CHANNEL);
  const position = readPosition(body);
  if (channel === undefined || position === undefined) return undefined;
  return { kind: "subscribed", channel, position, cause: text(body, "gap") };
}

function readUnsubscribed(body: unknown): Frame | undefined {
  const channel = text(body, "channel", MAX_CHANNEL);
  return channel === undefined ? undefined : { kind: "unsubscribed", channel, code: text(body, "code") ?? "" };
}

function readHeartbeat(body: unknown): Frame {
  const offsets = new Map<string, number>();
  const told = fields(field(body, "offsets")) ?? {};
  for (const channel of Object.keys(told)) {
    const offset = number(told, channel, 0, Number.MAX_SAFE_INTEGER);
    if (offset !== undefined && channel.length <= MAX_CHANNEL) offsets.set(channel, offset);
  }
  return { kind: "heartbeat", time: instant(body, "time"), offsets };
}

function readHistory(body: unknown): Frame | undefined {
  const channel = text(body, "channel", MAX_CHANNEL);
  const epoch = text(body, "epoch");
  if (channel === undefined || epoch === undefined) return undefined;
  const messages: Message[] = [];
  for (const m of list(body, "messages")) {
    const message = readMessage(m, channel, epoch);
    if (message !== undefined) messages.push(message);
  }
  return { kind: "history", channel, messages, cause: text(body, "gap") };
}

function readError(body: unknown, whole: unknown): Frame {
  const problem = {
    code: text(body, "code") ?? "UNKNOWN",
    message: text(body, "message") ?? "",
    temporary: field(body, "temporary") === true,
  };
  return { kind: "error", id: number(whole, "id", 1, Number.MAX_SAFE_INTEGER) ?? 0, problem };
}
