import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

import { readEvent, readFrame, readPage, type Frame } from "../src/frame.ts";
import { MAX_EVENT, streamReader, type StreamEvent } from "../src/sse.ts";
import { chance, mess } from "./random.ts";

/** The frames that the server's own tests compare it with. */
export const GOLDEN = join(import.meta.dirname, "..", "..", "..", "realtime", "protocol", "testdata", "frames");
const read = (name: string) => readFileSync(join(GOLDEN, name), "utf8");
const golden = (name: string) => readFrame(read(name));

const channel = "production:updates:sppg_7";
const position = { epoch: "k3v9x2m7q4ab", offset: 7 };
const data = { type: "production_update", productionId: "p1", data: { status: "COOKING" }, timestamp: 1767243600120, updatedBy: "u1" };
const message = { channel, position, time: 1767243600123, data };
const page = { channel, position: { ...position, offset: 9 }, messages: [message], gap: undefined };

const WANT: Record<string, Frame> = {
  message: { kind: "message", message },
  gap: { kind: "gap", channel, cause: "intake", position },
  heartbeat: { kind: "heartbeat", time: 1767243600123, offsets: { [channel]: 7, "system-alert": 0 } },
  stale: { kind: "stale", since: 1767243600123, reason: "engine" },
  fresh: { kind: "fresh" },
  goaway: { kind: "goaway", reconnectInMs: 1500, reason: "drain" },
  subscribed: { kind: "subscribed", channel, position, recovered: true, snapshot: false, gap: undefined },
  "subscribed-gap": { kind: "subscribed", channel, position, recovered: false, snapshot: false, gap: "expired" },
  "subscribed-snapshot": { kind: "subscribed", channel, position, recovered: false, snapshot: true, gap: undefined },
  "unsubscribed-server": { kind: "unsubscribed", channel, code: "FORBIDDEN" },
  unsubscribed: { kind: "unsubscribed", channel, code: "" },
  snapshot: { kind: "snapshot", page: { ...page, more: false } },
  "snapshot-part": { kind: "snapshot", page: { ...page, more: true } },
  pong: { kind: "heartbeat", time: 1767243600123, offsets: {} },
  welcome: { kind: "welcome", time: 1767243600123, heartbeatMs: 15000, expires: 1767247200123 },
  error: { kind: "error", id: 3, code: "NO_SUCH_CHANNEL", message: "no such channel for this connection; GET /api/ws lists yours", temporary: false },
  "error-temporary": { kind: "error", id: 0, code: "UNAVAILABLE", message: "the engine is out; try again", temporary: true },
};

/** Answers to what this client asks by HTTP, or not at all. */
const PASSED_OVER = ["history", "history-gap", "presence", "published", "published-duplicate"];

test("every frame of the server is understood, or knowingly passed over", () => {
  const names = readdirSync(GOLDEN).filter((n) => n.startsWith("v1-")).map((n) => n.slice(3, -5));
  expect(names.sort()).toEqual([...Object.keys(WANT), ...PASSED_OVER].sort());
  for (const name of names) expect(golden(`v1-${name}.json`), name).toEqual(WANT[name] ?? { kind: "other" });
});

test("every event of a stream is the same as its frame", () => {
  const names = readdirSync(GOLDEN).filter((n) => n.startsWith("sse-")).map((n) => n.slice(4, -4));
  expect(names.length).toBeGreaterThan(10);
  for (const name of names) {
    const events = streamReader()(read(`sse-${name}.txt`));
    expect(events, name).toHaveLength(1);
    const want = WANT[name];
    expect(readEvent(events[0]!.type, events[0]!.data), name).toEqual(want?.kind === "error" ? { ...want, id: 0 } : want);
  }
});

test("a stream may be cut anywhere, and breaks its lines in three ways", () => {
  const all = readdirSync(GOLDEN).filter((n) => n.startsWith("sse-")).map(read).join("");
  const want = streamReader()(all);
  for (const end of ["\n", "\r\n", "\r"]) {
    const text = all.replaceAll("\n", end);
    for (let at = 0; at < text.length; at += 7) {
      const reader = streamReader();
      const events: StreamEvent[] = [...reader(text.slice(0, at)), ...reader(text.slice(at)), ...reader("\n")];
      expect(events).toEqual(want);
    }
  }
});

test("data of several lines is one text, and comments are none", () => {
  expect(streamReader()(": hello\ndata: a\ndata:b\n: x\nid: 1\nretry: 5\ndata\n\n\n")).toEqual([{ type: "message", data: "a\nb\n" }]);
});

test("an event without an end is given up", () => {
  const reader = streamReader();
  expect(() => {
    for (let i = 0; i < 10; i++) reader(`data: ${"x".repeat(MAX_EVENT / 8)}\n`);
  }).toThrow("without an end");
});

test("an answer of the history is read", () => {
  const { history } = JSON.parse(read("v1-history.json")) as { history: unknown };
  expect(readPage(history)).toEqual({ ...page, more: true });
  const { history: gap } = JSON.parse(read("v1-history-gap.json")) as { history: unknown };
  expect(readPage(gap)).toEqual({ channel, position, messages: [], gap: "epoch", more: false });
});

test.each([
  "", "{", "null", "1", "[]", '"message"', "{}", '{"message":null}', '{"message":[]}', '{"message":{"channel":"a"}}',
  '{"message":{"channel":"a","epoch":"e","offset":0,"time":1,"data":1}}', // offsets count from 1
  '{"message":{"channel":"a","epoch":"e","offset":9007199254740993,"time":1,"data":1}}',
  '{"message":{"channel":"a","epoch":"e","offset":1,"data":1}}',
  '{"gap":{"channel":"a","epoch":7,"offset":1}}', '{"subscribed":{}}', '{"stale":{"reason":"engine"}}', '{"welcome":{}}', '{"later":{"x":1}}',
])("what is no frame is other: %s", (frame) => {
  expect(readFrame(frame).kind).toBe("other");
});

test("no JSON makes it throw", () => {
  const random = chance(1);
  for (let i = 0; i < 5000; i++) readFrame(JSON.stringify(mess(random)));
});
