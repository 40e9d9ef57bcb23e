import assert from "node:assert/strict";
import test from "node:test";

import {
  BACKOFF_FIRST_MS, BACKOFF_MOST_MS, deadline, fresh, lamp, OPEN_WAIT_MS, PROBE_AFTER_MS, PROBE_WAIT_MS, STALE_AFTER_MS, START, step,
  type Act, type Connection, type LineEvent,
} from "./connection.ts";
import { chance, pick } from "./random.test-support.ts";

/** Plays events at times, with the chance 0.5, and returns the connection and all acts. */
function play(...events: [number, LineEvent][]): [Connection, Act[]] {
  let c = START;
  const acts: Act[] = [];
  for (const [now, e] of events) {
    const [next, more] = step(c, e, now, 0.5);
    c = next;
    acts.push(...more);
  }
  return [c, acts];
}

const UP: [number, LineEvent][] = [[0, { kind: "start" }], [10, { kind: "admitted" }], [20, { kind: "opened" }], [30, { kind: "synced", on: true }]];
const closed = (code: number, reason = ""): LineEvent => ({ kind: "closed", code, reason });

test("asks who we are, then opens", () => {
  const [c, acts] = play(...UP);
  assert.deepEqual(acts, ["drop", "ask", "open"]);
  assert.equal(c.phase, "open");
  assert.equal(lamp(c, 30), "connected");
  assert.ok(fresh(c, 30));
});

test("nothing is fresh before everything has come", () => {
  const [c] = play(...UP.slice(0, 3), [25, { kind: "heard" }]);
  assert.equal(lamp(c, 30), "connected");
  assert.equal(fresh(c, 30), false);
});

test("a silent line is asked for a sign of life, shown as old, and given up", () => {
  let [c, acts] = play(...UP, [30 + PROBE_AFTER_MS, { kind: "tick" }]);
  assert.deepEqual(acts.slice(3), ["probe"]);
  assert.equal(lamp(c, 30 + STALE_AFTER_MS - 1), "connected");
  assert.equal(lamp(c, 30 + STALE_AFTER_MS), "disconnected");
  assert.equal(fresh(c, 30 + STALE_AFTER_MS), false);
  [c, acts] = step(c, { kind: "tick" }, 30 + STALE_AFTER_MS, 0.5) as [Connection, Act[]];
  assert.deepEqual([c.phase, acts], ["waiting", ["drop"]]);
});

test("an answer to the probe keeps the line", () => {
  const [c, acts] = play(...UP, [30 + PROBE_AFTER_MS, { kind: "tick" }], [9000, { kind: "heard" }], [9000 + PROBE_AFTER_MS - 1, { kind: "tick" }]);
  assert.deepEqual(acts.slice(3), ["probe"]);
  assert.equal(c.phase, "open");
  assert.ok(fresh(c, 9000 + STALE_AFTER_MS - 1));
});

test("after a break the first retry is quick and needs no asking", () => {
  const [c] = play(...UP, [1000, closed(1006)]);
  assert.equal(c.phase, "waiting");
  assert.equal(c.retryAt, 1000 + 0.5 * BACKOFF_FIRST_MS);
  assert.equal(lamp(c, 1000), "connecting");
  const [, acts] = step(c, { kind: "tick" }, c.retryAt, 0.5);
  assert.deepEqual(acts, ["open"]);
});

test("retries grow with full jitter up to their bound", () => {
  let [c] = play(...UP, [1000, closed(1006)]);
  let most = BACKOFF_FIRST_MS;
  for (let i = 0; i < 12; i++) {
    assert.ok(c.retryAt !== undefined && c.retryAt - c.since <= most, `attempt ${c.attempt}`);
    const at = c.retryAt;
    [c] = step(c, { kind: "tick" }, at, 0.5);
    [c] = c.phase === "opening" ? step(c, closed(1006), at + 1, 0.999) : step(c, { kind: "unreachable" }, at + 1, 0.999);
    most = Math.min(BACKOFF_MOST_MS, most * 2);
  }
  assert.ok((c.retryAt ?? 0) - c.since > BACKOFF_MOST_MS * 0.9);
  assert.equal(lamp(c, c.since), "disconnected");
});

test("a server that closes at once is not tried at once for ever", () => {
  let c = START;
  let now = 0;
  const play1 = (e: LineEvent) => ([c] = step(c, e, now, 0.999));
  play1({ kind: "start" });
  for (let i = 0; i < 8; i++) {
    if (c.phase === "asking") play1({ kind: "admitted" });
    for (const e of [{ kind: "opened" }, { kind: "heard" }, closed(4004)] as LineEvent[]) play1(e);
    now = c.retryAt ?? now;
    play1({ kind: "tick" });
  }
  assert.equal(c.attempt, 8);
});

test("a refused handshake and an expired session are asked about", () => {
  const refused = play(...UP.slice(0, 2), [100, closed(1006)], [100 + BACKOFF_FIRST_MS, { kind: "tick" }]);
  assert.deepEqual(refused[1], ["drop", "ask", "open", "ask"]);
  const expired = play(...UP, [100, closed(4002)], [100 + BACKOFF_FIRST_MS, { kind: "tick" }]);
  assert.deepEqual(expired[1], ["drop", "ask", "open", "ask"]);
  const [c] = step(expired[0], { kind: "denied", denial: "signed-out" }, 700, 0);
  assert.deepEqual([c.phase, c.denial, deadline(c)], ["denied", "signed-out", undefined]);
});

test("4500 and above: do not come back, also not when the device wakes", () => {
  for (const code of [4500, 4501, 4503, 4999]) {
    const [c, acts] = play(...UP, [100, closed(code, "revoked")], [200, { kind: "wake" }], [99_999, { kind: "tick" }]);
    assert.deepEqual([c.phase, c.end, deadline(c), acts.length], ["ended", { code, reason: "revoked" }, undefined, 3]);
    assert.equal(lamp(c, 200), "disconnected");
  }
  for (const code of [1000, 1001, 1006, 1011, 1012, 4000, 4001, 4005, 4499]) {
    assert.equal(play(...UP, [100, closed(code)])[0].phase, "waiting", String(code));
  }
});

test("goaway: leaves at the time that the server gave, or comes back then if it was closed before", () => {
  const goaway: [number, LineEvent] = [100, { kind: "goaway", reconnectInMs: 5000 }];
  const [left, acts] = play(...UP, goaway, [5100, { kind: "tick" }]);
  assert.deepEqual([left.phase, acts.slice(3)], ["opening", ["drop", "open"]]);
  const [waits] = play(...UP, goaway, [200, closed(4000)]);
  assert.equal(waits.retryAt, 5100);
  assert.deepEqual([lamp(waits, 200), lamp(waits, 4000)], ["disconnected", "connecting"]);
});

test("waking tries at once, and asks an open line for a sign of life", () => {
  assert.deepEqual(play(...UP, [100, closed(1006)], [110, { kind: "wake" }])[1].slice(3), ["open"]);
  assert.deepEqual(play(...UP, [100, { kind: "wake" }])[1].slice(3), ["probe"]);
  assert.deepEqual(play([0, { kind: "start" }], [1, { kind: "denied", denial: "signed-out" }], [2, { kind: "wake" }])[1], ["drop", "ask", "ask"]);
});

test("an answer that never comes is given up", () => {
  const [asking, a] = play([0, { kind: "start" }], [OPEN_WAIT_MS, { kind: "tick" }]);
  assert.deepEqual([asking.phase, a], ["waiting", ["drop", "ask", "drop"]]);
  const [opening, b] = play(...UP.slice(0, 2), [10 + OPEN_WAIT_MS, { kind: "tick" }]);
  assert.deepEqual([opening.phase, b.slice(3)], ["waiting", ["drop"]]);
});

test("whatever happens, it ends up somewhere: a deadline, or a phase that needs none", () => {
  const kinds: readonly LineEvent[] = [
    { kind: "start" }, { kind: "admitted" }, { kind: "denied", denial: "choose" }, { kind: "unreachable" }, { kind: "opened" }, { kind: "heard" },
    { kind: "synced", on: true }, { kind: "synced", on: false }, { kind: "goaway", reconnectInMs: 700 }, { kind: "lost" }, closed(1006), closed(4002),
    closed(4000), { kind: "tick" }, { kind: "tick" }, { kind: "tick" }, { kind: "wake" },
  ];
  for (let seed = 0; seed < 300; seed++) {
    const random = chance(seed);
    let c = START;
    let now = 0;
    for (let i = 0; i < 200; i++) {
      now += Math.floor(random() * 4000);
      [c] = step(c, pick(random, kinds), now, random());
      const due = deadline(c);
      assert.equal(due === undefined, c.phase === "denied" || c.phase === "ended", c.phase);
      if (due === undefined) continue;
      assert.ok(due <= now + Math.max(BACKOFF_MOST_MS, OPEN_WAIT_MS, PROBE_WAIT_MS), `${c.phase} waits ${due - now} ms`);
      // A tick at the deadline always leads on: no phase can be stuck in, or spin.
      const [after] = step(c, { kind: "tick" }, Math.max(due, now), 0.5);
      assert.notDeepEqual([after.phase, after.probedAt], [c.phase, c.probedAt], c.phase);
    }
  }
});
