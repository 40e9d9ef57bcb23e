import assert from "node:assert/strict";
import test from "node:test";

import { apply, empty, type Event, type State } from "./state.ts";
import { chance, mess } from "./random.test-support.ts";
import { lines } from "./log.ts";
import { readFrame, type Frame } from "./frame.ts";

const CHANNEL = "production:updates:S";
const KITCHEN = { tenant: "S", name: undefined, channels: [CHANNEL, "production:alerts:S"] };
const at = (offset: number, epoch = "e") => ({ epoch, offset });

const frame = (f: Frame): Event => ({ kind: "frame", frame: f, now: 1000 });
const push = (offset: number, epoch = "e", channel = CHANNEL): Event =>
  frame({ kind: "message", message: { channel, position: at(offset, epoch), time: offset, data: { type: "production_update", productionId: "p", data: { progress: offset } } } });
const subscribed = (offset: number, cause?: string, epoch = "e"): Event => frame({ kind: "subscribed", channel: CHANNEL, position: at(offset, epoch), cause });
const history = (...offsets: number[]): Event =>
  frame({ kind: "history", channel: CHANNEL, cause: undefined, messages: offsets.map((o) => ({ channel: CHANNEL, position: at(o), time: o, data: { n: o } })) });

function after(...events: Event[]): State {
  return events.reduce(apply, apply(empty("id"), { kind: "kitchen", kitchen: KITCHEN }));
}
const offsets = (s: State) => lines(s.log).map((e) => (e.gap ? "gap" : e.offset));
const channel = (s: State) => s.channels.get(CHANNEL);

test("the first load takes the history up to the head, and live messages from there", () => {
  const s = after(subscribed(7), history(5, 6, 7, 8), push(8), push(9));
  assert.deepEqual(offsets(s), [9, 8, 7, 6, 5]);
  assert.deepEqual(channel(s)?.seen, at(9));
  assert.equal(channel(s)?.count, 5);
  assert.equal(s.newestAt, 9);
  assert.equal(s.productions.get("p")?.progress, 9);
});

test("a connection that breaks before the history came starts again", () => {
  assert.equal(channel(after(subscribed(7)))?.seen, undefined);
  assert.deepEqual(offsets(after(subscribed(7), subscribed(8), history(6, 7, 8), push(9))), [9, 8, 7, 6]);
});

test("a resume that was continued brings everything once", () => {
  const s = after(subscribed(0), push(1), push(2), subscribed(4), push(2), push(3), push(4), push(5));
  assert.deepEqual(offsets(s), [5, 4, 3, 2, 1]);
  assert.equal(s.productions.get("p")?.doubtful, false);
});

test("a gap is told in the log, and what is shown becomes doubtful", () => {
  const s = after(subscribed(0), push(1), subscribed(9, "expired"));
  assert.deepEqual(offsets(s), ["gap", 1]);
  assert.equal(s.productions.get("p")?.doubtful, true);
  const healed = [history(7, 8, 9), push(10)].reduce(apply, s);
  assert.deepEqual(offsets(healed), ["gap", 10, 9, 8, 7, 1]);
  assert.equal(healed.productions.get("p")?.doubtful, false);
});

test("a new epoch starts anew", () => {
  const s = after(subscribed(0), push(1), push(2), subscribed(1, "epoch", "f"), { kind: "caught-up", channel: CHANNEL }, push(2, "f"));
  assert.deepEqual(channel(s)?.seen, at(2, "f"));
  assert.equal(channel(s)?.count, 3);
});

test("a hole that nobody told of is told here", () => {
  assert.deepEqual(offsets(after(subscribed(0), push(1), push(5))), ["gap", 5, 1]);
  assert.deepEqual(offsets(after(subscribed(0), push(1), push(2, "f"))), ["gap", 2, 1]);
});

test("a channel that is not ours is not taken in", () => {
  const s = after(subscribed(0));
  assert.equal(apply(s, push(1, "e", "production:updates:OTHER")), s);
});

test("another kitchen starts from nothing, the same one goes on", () => {
  const s = after(subscribed(0), push(1));
  assert.equal(apply(s, { kind: "kitchen", kitchen: { ...KITCHEN } }).log.entries.length, 1);
  for (const kitchen of [{ ...KITCHEN, tenant: "T" }, undefined]) {
    const other = apply(s, { kind: "kitchen", kitchen });
    assert.deepEqual([other.log.entries.length, other.productions.size, other.newestAt], [0, 0, undefined]);
    assert.equal(other.connection.freshAt, undefined);
  }
});

test("the heartbeat sets the clock", () => {
  assert.equal(after(frame({ kind: "heartbeat", time: 6000, offsets: new Map() })).skewMs, 5000);
  assert.equal(after(frame({ kind: "heartbeat", time: undefined, offsets: new Map() })).skewMs, 0);
});

test("what the server says of its own age holds until it is fresh, or the connection ends", () => {
  const stale = after(frame({ kind: "stale", since: 500, reason: "engine" }));
  assert.equal(stale.staleSince, 500);
  assert.equal(apply(stale, frame({ kind: "heartbeat", time: 6000, offsets: new Map() })).staleSince, 500);
  assert.equal(apply(stale, { kind: "connection", connection: { ...stale.connection, phase: "open" } }).staleSince, 500);
  assert.equal(apply(stale, { kind: "connection", connection: { ...stale.connection, phase: "waiting" } }).staleSince, undefined);
  const fresh = apply(stale, frame({ kind: "fresh", time: 6000 }));
  assert.deepEqual([fresh.staleSince, fresh.skewMs], [undefined, 5000]);
});

test("a refused channel says so until it is followed", () => {
  const problem = { code: "NO_SUCH_CHANNEL", message: "no such channel", temporary: false };
  const refused = after({ kind: "refused", channel: CHANNEL, problem });
  assert.deepEqual(channel(refused)?.problem, problem);
  assert.equal(channel(apply(refused, subscribed(0)))?.problem, undefined);
});

test("apply changes nothing that it was given, and nothing makes it throw", () => {
  const random = chance(5);
  let s = after(subscribed(0));
  for (let i = 0; i < 1500; i++) {
    const before = s;
    const kept = JSON.stringify([...before.channels]) + before.log.entries.length + before.productions.size + before.alerts.size;
    const body = mess(random) as Record<string, unknown>;
    const wild = JSON.stringify({ message: { ...body, channel: CHANNEL, epoch: "e", offset: i + 1, time: i + 1 } });
    s = apply(s, { kind: "frame", frame: readFrame(random() < 0.8 ? wild : (JSON.stringify(mess(random)) ?? "")), now: i });
    assert.equal(JSON.stringify([...before.channels]) + before.log.entries.length + before.productions.size + before.alerts.size, kept);
  }
  assert.ok((channel(s)?.count ?? 0) > 900);
});
