import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import {
  BACKOFF_FIRST_MS, BACKOFF_MOST_MS, comesBack, deadline, freshUntil, health, IDLE, OPEN_WAIT_MS, PROBE_WAIT_MS, QUIET_AFTER_MS, STALE_AFTER_MS, step,
  WEBSOCKET_AGAIN_MS, type Act, type Connection, type LineEvent,
} from "../src/connection.ts";
import { answered, died, PULSE, PULSE_HIDDEN_MS, PULSE_LEAST_MS } from "../src/pulse.ts";
import { below, chance, pick } from "./random.ts";

const T = 1_800_000_000_000;

/** Takes events, each with how many ms it comes after the one before. chance is 0.5 throughout. */
function run(c: Connection, ...events: (LineEvent & { readonly after?: number })[]): { c: Connection; acts: Act[]; now: number } {
  let now = Math.max(T, c.since);
  let acts: readonly Act[] = [];
  for (const e of events) {
    now += e.after ?? 0;
    [c, acts] = step(c, e, now, 0.5);
  }
  return { c, acts: [...acts], now };
}

const OPENED: LineEvent = { kind: "opened", heartbeatMs: 25_000, expiresInMs: undefined };
const START: LineEvent = { kind: "start" };
const SYNCED: LineEvent = { kind: "synced", on: true };
const TICK: LineEvent = { kind: "tick" };
const CUT: LineEvent = { kind: "closed", code: 1006, reason: "" };
const open = run(IDLE, START, OPENED, SYNCED).c;

test("close codes mean what docs/protocol.md says", () => {
  const doc = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "protocol.md"), "utf8");
  const table = doc.slice(doc.indexOf("<!-- table: close codes -->")).split("\n\n")[0] ?? "";
  const rows = [...table.matchAll(/^\| (\d{4}) \| `[^`]+` \| [^|]+ \| (yes|no) \|/gm)];
  expect(rows.length).toBeGreaterThan(12);
  for (const [, code, back] of rows) {
    if (code === "1000") continue; // nobody but the client closes so, and what does it all the same is something in between
    expect(comesBack(Number(code)), code).toBe(back === "yes");
  }
  for (const code of [1000, 1005, 1006, 1012, 1013, 1014, 4000, 4499]) expect(comesBack(code), String(code)).toBe(true);
  for (const code of [4500, 4999]) expect(comesBack(code), String(code)).toBe(false);
});

describe("the way in", () => {
  test("opens at once, without a question before", () => {
    expect(run(IDLE, START).acts).toEqual(["drop", "open"]);
    expect(open.phase).toBe("open");
    expect(health(open)).toBe("live");
  });

  test("a cut line comes back within half a second, without a question", () => {
    const { c, now } = run(open, CUT);
    expect([c.phase, c.retryAt]).toEqual(["waiting", now + BACKOFF_FIRST_MS / 2]);
    expect(run(c, { ...TICK, after: BACKOFF_FIRST_MS / 2 }).acts).toEqual(["open"]);
  });

  test("waits longer with each failure, up to a bound, and anew after one that worked", () => {
    let c = open;
    const waits: number[] = [];
    for (let i = 0; i < 12; i++) {
      c = run(c, CUT).c;
      if (c.phase === "asking") c = run(c, { kind: "unreachable", retryAfterMs: 0 }).c;
      waits.push(((c.retryAt ?? 0) - c.since) * 2);
      c = step(c, TICK, c.retryAt ?? 0, 0.5)[0];
    }
    expect(waits.slice(0, 6)).toEqual([500, 1000, 2000, 4000, 8000, 16000]);
    expect(waits.at(-1)).toBe(BACKOFF_MOST_MS);
    expect(run({ ...c, phase: "opening" }, OPENED, SYNCED).c.attempt).toBe(0);
  });

  test("a connection that is closed before it brought everything counts as a failure", () => {
    expect(run(IDLE, START, OPENED, CUT).c.attempt).toBe(1);
    const again = run(run(IDLE, START, OPENED, CUT).c, { ...TICK, after: 500 }, OPENED, CUT).c;
    expect(again.attempt).toBe(2);
  });

  test("a refused handshake is asked about, and the next one has no channels in its address", () => {
    const asking = run(IDLE, START, CUT);
    expect([asking.c.phase, asking.acts]).toEqual(["asking", ["ask"]]);
    expect(run(asking.c, { kind: "admitted" }).c).toMatchObject({ phase: "waiting", refusals: 1, transport: "websocket" });
  });

  test("two refusals while HTTP works choose SSE, and WebSocket is tried again minutes later", () => {
    let c = run(IDLE, START, CUT, { kind: "admitted" }, { ...TICK, after: 500 }, CUT, { kind: "admitted" }).c;
    expect(c.transport).toBe("sse");
    c = run(c, { ...TICK, after: 1000 }, OPENED, SYNCED, { ...CUT, after: 60_000 }, { ...TICK, after: 500 }).c;
    expect([c.phase, c.transport]).toEqual(["opening", "sse"]);
    c = run(c, OPENED, SYNCED, { ...CUT, after: WEBSOCKET_AGAIN_MS }, { ...TICK, after: 500 }).c;
    expect([c.phase, c.transport, c.refusals]).toEqual(["opening", "websocket", 0]);
  });

  test("a handshake that hangs while HTTP works chooses SSE at once", () => {
    const { c, acts } = run(IDLE, START, { ...TICK, after: OPEN_WAIT_MS });
    expect([c.phase, acts]).toEqual(["asking", ["drop", "ask"]]);
    expect(run(c, { kind: "admitted" }).c.transport).toBe("sse");
  });

  test("with no line at all it stays with WebSocket", () => {
    let c = run(IDLE, START).c;
    for (let i = 0; i < 5; i++) c = run(c, CUT, { kind: "unreachable", retryAfterMs: 0 }, { ...TICK, after: 60_000 }).c;
    expect([c.phase, c.transport]).toEqual(["opening", "websocket"]);
  });

  test("who is denied stays so until something happens", () => {
    const denied = run(IDLE, START, CUT, { kind: "denied", denial: { status: 401, code: "x" } }).c;
    expect([denied.phase, denied.denial?.status, deadline(denied)]).toEqual(["denied", 401, undefined]);
    expect(run(denied, { kind: "wake" }).acts).toEqual(["open"]);
    expect(run(denied, START).c.denial).toBeUndefined();
  });

  test("a session that ended is asked about, and not taken for a broken line", () => {
    expect(run(open, { kind: "closed", code: 4002, reason: "" }).acts).toEqual(["ask"]);
  });

  test("a final close code ends it; only somebody's wish begins anew", () => {
    const { c } = run(open, { kind: "closed", code: 4500, reason: "session revoked" });
    expect([c.phase, c.end, deadline(c)]).toEqual(["ended", { code: 4500, reason: "session revoked" }, undefined]);
    expect(run(c, { kind: "wake" }).acts).toEqual([]);
    expect(run(c, START).acts).toEqual(["drop", "open"]);
  });

  test("Retry-After is waited for", () => {
    const { c, now } = run(IDLE, START, CUT, { kind: "unreachable", retryAfterMs: 5000 });
    expect(c.retryAt).toBe(now + 5000 + BACKOFF_FIRST_MS / 2);
    expect(run(c, { kind: "wake" }).c.retryAt).toBeGreaterThanOrEqual(now + 5000);
  });
});

describe("a slot of the server", () => {
  const sent = run(open, { kind: "goaway", reconnectInMs: 1500 });
  test("is when it leaves and comes back", () => {
    expect(deadline(sent.c)).toBe(sent.now + 1500);
    expect(run(sent.c, { ...TICK, after: 1500 })).toMatchObject({ acts: ["drop", "open"], c: { phase: "opening", attempt: 0 } });
  });
  test("is kept though the line is closed before, or the device wakes up", () => {
    const { c } = run(sent.c, { ...CUT, after: 100 }, { kind: "wake" });
    expect(c.retryAt).toBe(sent.now + 1500);
  });
});

describe("signs of life", () => {
  test("after a silence one is asked for; without an answer the line is quiet, then dead", () => {
    const at = deadline(open) ?? 0;
    expect(at - T).toBe(PULSE.everyMs);
    const probing = run(open, { ...TICK, after: PULSE.everyMs });
    expect([probing.acts, health(probing.c)]).toEqual([["probe"], "live"]);
    const quiet = run(probing.c, { ...TICK, after: PULSE.everyMs + QUIET_AFTER_MS });
    expect(health(quiet.c)).toBe("quiet");
    const dead = run(quiet.c, { ...TICK, after: PULSE.everyMs + PROBE_WAIT_MS });
    expect([dead.acts, dead.c.phase, health(dead.c)]).toEqual([["drop"], "waiting", "dead"]);
    expect(dead.c.pulse.everyMs).toBe(PULSE_LEAST_MS);
    expect(health(run(quiet.c, { kind: "heard" }).c)).toBe("live");
  });

  test("a path that proves stable is asked less often, and no less often than freshness needs", () => {
    let p = PULSE;
    for (let i = 0; i < 100; i++) p = answered(p, STALE_AFTER_MS - 5000);
    expect(p.everyMs).toBe(10_000);
    for (let i = 0; i < 10; i++) p = died(p);
    expect(p.everyMs).toBe(PULSE_LEAST_MS);
  });

  test("while nobody looks it is asked rarely", () => {
    const hidden = run(open, { kind: "watched", on: false }).c;
    expect((deadline(hidden) ?? 0) - T).toBe(PULSE_HIDDEN_MS);
  });

  test("a device that wakes up asks at once, once", () => {
    const woken = run(open, { kind: "wake" });
    expect(woken.acts).toEqual(["probe"]);
    expect(run(woken.c, { kind: "wake" }).acts).toEqual([]);
  });

  test("waking up shortens a wait, but to no loop without a pause", () => {
    let c: Connection = { ...open, attempt: 8 };
    c = run(c, CUT).c;
    const woken = run(c, { kind: "wake" });
    expect(woken.c.retryAt).toBe(woken.now + BACKOFF_FIRST_MS / 2);
    expect(woken.acts).toEqual([]);
  });

  test("an event stream cannot be asked: it is dead after a heartbeat and a half", () => {
    const sse: Connection = { ...open, transport: "sse", heartbeatMs: 15_000 };
    expect(run(sse, { ...TICK, after: 15_000 }).acts).toEqual([]);
    expect(run(sse, { ...TICK, after: 19_000 }).acts).toEqual(["drop"]);
    expect(run(sse, { kind: "wake", after: 1000 }).acts).toEqual([]);
    expect(run(sse, { kind: "wake", after: 6000 }).acts).toEqual(["drop"]);
  });
});

describe("freshness", () => {
  test("ends so long after the last word, in every phase", () => {
    expect(freshUntil(open, STALE_AFTER_MS)).toBe(T + STALE_AFTER_MS);
    expect(freshUntil(run(open, CUT).c, STALE_AFTER_MS)).toBe(T + STALE_AFTER_MS);
  });
  test("is not renewed by a line that has not brought everything", () => {
    const c = run(open, CUT, { ...TICK, after: 300 }, { ...OPENED, after: 1000 }, { kind: "heard", after: 1000 }).c;
    expect([health(c), c.freshAt]).toEqual(["behind", T]);
  });
  test("is not there while the server itself is cut off, and comes back with its word", () => {
    const stale = run(open, { kind: "stale", since: T - 1000, reason: "engine", after: 1000 });
    expect([health(stale.c), freshUntil(stale.c, STALE_AFTER_MS), stale.c.staleReason]).toEqual(["stale", undefined, "engine"]);
    expect(run(stale.c, { kind: "heard", after: 1000 }).c.freshAt).toBe(T);
    const fresh = run(stale.c, { kind: "fresh", after: 1000 });
    expect([health(fresh.c), fresh.c.freshAt]).toEqual(["live", fresh.now]);
  });
  test("a clock that was set back makes nothing fresh", () => {
    const [c, acts] = step({ ...open, freshAt: T }, { kind: "jumped" }, T - 3_600_000, 0.5);
    expect([c.freshAt, acts, health(c)]).toEqual([undefined, ["probe"], "live"]);
    expect(deadline(c)).toBe(T - 3_600_000 + QUIET_AFTER_MS);
  });
});

test("a session is renewed before its end", () => {
  const c = run(IDLE, START, { ...OPENED, expiresInMs: 3_600_000 }, SYNCED).c;
  expect(c.extendAt).toBe(T + 3_540_000);
  const { acts, c: extending } = run({ ...c, heardAt: T + 3_540_000 }, { ...TICK, after: 3_540_000 });
  expect([acts, extending.extendAt]).toEqual([["extend"], undefined]);
  expect(run(extending, { kind: "extended", expiresInMs: 100 }).c.extendAt).toBe(T + 5000);
});

test("whatever happens, it neither stops for ever nor spins", () => {
  const random = chance(7);
  const events: readonly LineEvent[] = [
    START, OPENED, SYNCED, { kind: "synced", on: false }, { kind: "heard" }, CUT, TICK, { kind: "wake" }, { kind: "admitted" },
    { kind: "denied", denial: { status: 403, code: "" } }, { kind: "unreachable", retryAfterMs: 0 }, { kind: "goaway", reconnectInMs: 700 },
    { kind: "closed", code: 4500, reason: "" }, { kind: "closed", code: 4002, reason: "" }, { kind: "stale", since: T, reason: "engine" },
    { kind: "fresh" }, { kind: "watched", on: false }, { kind: "watched", on: true }, { kind: "extended", expiresInMs: 1 }, { kind: "jumped" }, { kind: "stop" },
  ];
  for (let round = 0; round < 300; round++) {
    let c: Connection = IDLE;
    let now = T;
    let opened = -Infinity;
    for (let i = 0; i < 60; i++) {
      const due = deadline(c);
      const e = random() < 0.5 ? TICK : pick(random, events);
      now = e.kind === "tick" && due !== undefined ? Math.max(now, due) : now + below(random, 3000);
      const before = c;
      const [next, acts] = step(c, e, now, random());
      c = next;
      if (acts.includes("open") && e.kind !== "start" && before.phase !== "denied" && before.returnAt === undefined) {
        expect(now, `${before.phase} ${e.kind}`).toBeGreaterThanOrEqual(opened);
        opened = now;
        expect(before.phase).toBe("waiting");
        expect(now).toBeGreaterThanOrEqual(before.retryAt ?? Infinity);
      }
      const ends = c.phase === "idle" || c.phase === "denied" || c.phase === "ended";
      expect(deadline(c) === undefined, c.phase).toBe(ends);
      if (c.phase === "waiting") expect((c.retryAt ?? Infinity) - now).toBeLessThanOrEqual(BACKOFF_MOST_MS);
      if (c.phase === "open") expect((deadline(c) ?? Infinity) - now).toBeLessThanOrEqual(PULSE_HIDDEN_MS);
      if (e.kind === "tick" && due !== undefined) expect((deadline(c) ?? Infinity), `${before.phase} to ${c.phase}: a tick that was due changes something`).not.toBe(due);
    }
  }
});
