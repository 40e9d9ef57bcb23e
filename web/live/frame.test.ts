import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

import { readFrame } from "./frame.ts";
import { chance, mess } from "./random.test-support.ts";

/** The frames that the server's own tests compare it with; tests run in web/. */
const GOLDEN = join("..", "realtime", "protocol", "testdata", "frames");
const golden = (name: string) => readFrame(readFileSync(join(GOLDEN, name), "utf8"));

const CHANNEL = "production:updates:sppg_7";
const EPOCH = "k3v9x2m7q4ab";

test("the server's frames are understood", () => {
  const data = { type: "production_update", productionId: "p1", data: { status: "COOKING" }, timestamp: 1767243600120, updatedBy: "u1" };
  const message = { channel: CHANNEL, position: { epoch: EPOCH, offset: 7 }, time: 1767243600123, data };
  assert.deepEqual(golden("v1-message.json"), { kind: "message", message });
  assert.deepEqual(golden("v1-gap.json"), { kind: "gap", channel: CHANNEL, cause: "intake", position: { epoch: EPOCH, offset: 7 } });
  assert.deepEqual(golden("v1-heartbeat.json"), {
    kind: "heartbeat",
    time: 1767243600123,
    offsets: new Map([[CHANNEL, 7], ["system-alert", 0]]),
  });
  assert.deepEqual(golden("v1-stale.json"), { kind: "stale", since: 1767243600123, reason: "engine" });
  assert.deepEqual(golden("v1-fresh.json"), { kind: "fresh", time: 1767243609123 });
  assert.deepEqual(golden("v1-goaway.json"), { kind: "goaway", reconnectInMs: 1500 });
  assert.deepEqual(golden("v1-subscribed.json"), { kind: "subscribed", channel: CHANNEL, position: { epoch: EPOCH, offset: 7 }, cause: undefined });
  assert.deepEqual(golden("v1-subscribed-gap.json"), { kind: "subscribed", channel: CHANNEL, position: { epoch: EPOCH, offset: 7 }, cause: "expired" });
  assert.deepEqual(golden("v1-unsubscribed-server.json"), { kind: "unsubscribed", channel: CHANNEL, code: "FORBIDDEN" });
  assert.deepEqual(golden("v1-history.json"), { kind: "history", channel: CHANNEL, messages: [message], cause: undefined });
  assert.deepEqual(golden("v1-history-gap.json"), { kind: "history", channel: CHANNEL, messages: [], cause: "epoch" });
  const error = golden("v1-error.json");
  assert.ok(error.kind === "error" && error.problem.message !== "");
  assert.deepEqual([error.id, error.problem.code, error.problem.temporary], [3, "NO_SUCH_CHANNEL", false]);
  assert.deepEqual(golden("v1-pong.json"), { kind: "heartbeat", time: 1767243600123, offsets: new Map() });
  assert.deepEqual(golden("v1-welcome.json"), { kind: "heartbeat", time: 1767243600123, offsets: new Map() });
});

test("every frame of the server is read or knowingly passed over", () => {
  // answers to what this page never asks
  const passedOver = new Set(["v1-presence.json", "v1-published.json", "v1-published-duplicate.json", "v1-snapshot.json", "v1-snapshot-part.json"]);
  const names = readdirSync(GOLDEN).filter((name) => name.startsWith("v1-") && name.endsWith(".json"));
  assert.ok(names.length >= 12, `${names.length} frames`);
  for (const name of names) assert.equal(golden(name).kind === "other", passedOver.has(name), name);
});

test("what is no frame is other", () => {
  const frames = [
    "", "{", "null", "1", "[]", '"message"', "{}", '{"message":null}', '{"message":[]}', '{"message":{"channel":"a"}}',
    '{"message":{"channel":"a","epoch":"e","offset":0,"time":1,"data":1}}', // offsets count from 1
    '{"message":{"channel":"a","epoch":"e","offset":9007199254740993,"time":1,"data":1}}',
    '{"message":{"channel":"a","epoch":"e","offset":1,"data":1}}',
    '{"gap":{"channel":"a","epoch":7,"offset":1}}', '{"subscribed":{}}', '{"stale":{"reason":"engine"}}', '{"history":{"channel":"a"}}', '{"later":{"x":1}}',
  ];
  for (const frame of frames) assert.equal(readFrame(frame).kind, "other", frame);
});

test("a message without data is one with unknown data", () => {
  const frame = readFrame('{"message":{"channel":"a","epoch":"e","offset":1,"time":1}}');
  assert.equal(frame.kind === "message" && frame.message.data, undefined);
});

test("no JSON makes it throw", () => {
  const random = chance(1);
  for (let i = 0; i < 1500; i++) readFrame(JSON.stringify(mess(random)) ?? "");
});
