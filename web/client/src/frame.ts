/** What the server says, as values: frames of kentongan.v1 and events of SSE. docs/protocol.md owns their shapes. */

import { field, fields, instant, list, parse, text, whole } from "./json.ts";

/** A place in the history of one channel. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/** One publication of a channel. */
export interface Message<T = unknown> {
  readonly channel: string;
  readonly position: Position;
  /** When the server took it in, ms since 1970 by the server's clock. */
  readonly time: number;
  /** What was published. */
  readonly data: T;
}

/** Publications of one channel up to a position: an answer of the history, or the newest of each key. */
export interface Page {
  readonly channel: string;
  readonly position: Position;
  readonly messages: readonly Message[];
  /** Why `messages` would have a hole; they are empty then. */
  readonly gap: string | undefined;
  /** There is more: of a history after the last message, of a snapshot in the next frame. */
  readonly more: boolean;
}

export type Frame =
  | { readonly kind: "welcome"; readonly time: number; readonly heartbeatMs: number; readonly expires: number | undefined }
  | { readonly kind: "message"; readonly message: Message }
  | { readonly kind: "gap"; readonly channel: string; readonly cause: string; readonly position: Position }
  | { readonly kind: "snapshot"; readonly page: Page }
  | Subscribed
  | { readonly kind: "unsubscribed"; readonly channel: string; readonly code: string }
  | { readonly kind: "stale"; readonly since: number; readonly reason: string }
  | { readonly kind: "fresh" }
  | { readonly kind: "heartbeat"; readonly time: number; readonly offsets: Readonly<Record<string, number>> }
  | { readonly kind: "goaway"; readonly reconnectInMs: number; readonly reason: string }
  | { readonly kind: "error"; readonly id: number; readonly code: string; readonly message: string; readonly temporary: boolean }
  | { readonly kind: "other" };

/** A channel is followed from here on. Without a position nobody knows how far it is. */
export interface Subscribed {
  readonly kind: "subscribed";
  readonly channel: string;
  readonly position?: Position | undefined;
  /** All after the position that was asked for comes as messages. */
  readonly recovered?: boolean;
  /** That position. It is not on the wire; whoever has asked knows it. */
  readonly from?: Position | undefined;
  /** The newest of each key came before this. */
  readonly snapshot?: boolean;
  readonly gap?: string | undefined;
}

const OTHER: Frame = { kind: "other" };

/** Reads one frame of kentongan.v1. What is no JSON, or has not the shape that it should have, is `other`. */
export function readFrame(frame: string): Frame {
  const v = fields(parse(frame));
  for (const name in v) {
    if (name !== "id") return readBody(name, v[name], whole(v, "id") ?? 0);
  }
  return OTHER;
}

/** Reads one event of SSE: its type and its data. */
export function readEvent(type: string, data: string): Frame {
  return readBody(type === "problem" ? "error" : type, parse(data), 0);
}

function readBody(name: string, b: unknown, id: number): Frame {
  const channel = text(b, "channel") ?? "";
  const position = readPosition(b);
  switch (name) {
    case "message": {
      const epoch = text(b, "epoch");
      const message = channel && epoch ? readMessage(b, channel, epoch) : undefined;
      return message ? { kind: "message", message } : OTHER;
    }
    case "heartbeat":
    case "pong": {
      const time = instant(b, "time");
      return time ? { kind: "heartbeat", time, offsets: readOffsets(field(b, "offsets")) } : OTHER;
    }
    case "subscribed":
      if (!channel || !position) return OTHER;
      return { kind: "subscribed", channel, position, recovered: field(b, "recovered") === true, snapshot: field(b, "snapshot") === true, gap: text(b, "gap") };
    case "snapshot": {
      const page = readPage(b);
      return page ? { kind: "snapshot", page } : OTHER;
    }
    case "gap":
      return channel && position ? { kind: "gap", channel, cause: text(b, "cause") ?? "unknown", position } : OTHER;
    case "stale": {
      const since = instant(b, "since");
      return since ? { kind: "stale", since, reason: text(b, "reason") ?? "unknown" } : OTHER;
    }
    case "fresh":
      return { kind: "fresh" };
    case "goaway":
      return { kind: "goaway", reconnectInMs: whole(b, "reconnectInMs") ?? 0, reason: text(b, "reason") ?? "" };
    case "unsubscribed":
      return channel ? { kind: "unsubscribed", channel, code: text(b, "code") ?? "" } : OTHER;
    case "error":
      return { kind: "error", id, code: text(b, "code") ?? "UNKNOWN", message: text(b, "message") ?? "", temporary: field(b, "temporary") === true };
    case "welcome": {
      const time = instant(b, "time");
      return time ? { kind: "welcome", time, heartbeatMs: whole(b, "heartbeatMs", 1) ?? 25_000, expires: instant(b, "expires") } : OTHER;
    }
    default:
      return OTHER;
  }
}

/** Reads an answer of the history, or a part of a snapshot. */
export function readPage(b: unknown): Page | undefined {
  const channel = text(b, "channel");
  const position = readPosition(b);
  if (!channel || !position) return undefined;
  const messages: Message[] = [];
  for (const m of list(b, "messages")) {
    const message = readMessage(m, channel, position.epoch);
    if (message) messages.push(message);
  }
  return { channel, position, messages, gap: text(b, "gap"), more: field(b, "more") === true };
}

function readMessage(b: unknown, channel: string, epoch: string): Message | undefined {
  const offset = whole(b, "offset", 1);
  const time = instant(b, "time");
  return offset && time ? { channel, position: { epoch, offset }, time, data: field(b, "data") } : undefined;
}

function readPosition(b: unknown): Position | undefined {
  const epoch = text(b, "epoch");
  const offset = whole(b, "offset");
  return epoch && offset !== undefined ? { epoch, offset } : undefined;
}

function readOffsets(b: unknown): Record<string, number> {
  const offsets: Record<string, number> = {};
  for (const channel in fields(b)) {
    const offset = whole(b, channel);
    if (offset !== undefined) offsets[channel] = offset;
  }
  return offsets;
}
