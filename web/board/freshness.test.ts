import assert from "node:assert/strict";
import test from "node:test";

import { ageOf, freshness } from "./freshness.ts";
import { INITIAL_STATUS, type Status } from "../client/src/client.ts";

const T = 1_764_000_000_000;
const live: Status = { ...INITIAL_STATUS, health: "live", fresh: true, freshAt: T, phase: "open" };

test("nothing counts as new before the state is whole and the line proves it", () => {
  assert.deepEqual(freshness(INITIAL_STATUS, false, undefined, 0), { lamp: "connecting", old: true, since: undefined });
  assert.deepEqual(freshness(INITIAL_STATUS, true, T, 0), { lamp: "connecting", old: true, since: T });
  assert.deepEqual(freshness(live, false, undefined, 0).old, true);
  assert.deepEqual(freshness(live, true, T - 9, 0), { lamp: "connected", old: false, since: T });
});

test("a break: first the lamp, then, once the data is old, the banner", () => {
  const cut: Status = { ...live, health: "dead", phase: "waiting" };
  assert.deepEqual(freshness(cut, true, T, 0), { lamp: "connecting", old: false, since: T });
  assert.deepEqual(freshness({ ...cut, fresh: false }, true, T, 0), { lamp: "disconnected", old: true, since: T });
  assert.deepEqual(freshness({ ...cut, fresh: false, phase: "opening" }, true, T, 0).lamp, "disconnected");
  assert.deepEqual(freshness({ ...live, health: "behind", fresh: false }, true, T, 0).lamp, "connecting");
});

test("a page that is opened without a line says so, and not for ever that it connects", () => {
  assert.equal(freshness(INITIAL_STATUS, false, T, 0).lamp, "connecting");
  assert.deepEqual(freshness(INITIAL_STATUS, false, T, 0, true), { lamp: "disconnected", old: true, since: T });
  assert.equal(freshness(live, true, T, 0, true).lamp, "connected", "what the line proves counts more");
});

test("the server that hears nothing, the line that says nothing, and the end", () => {
  assert.deepEqual(freshness({ ...live, health: "stale", fresh: false, staleSince: T }, true, T, 0), { lamp: "stale", old: true, since: T });
  assert.equal(freshness({ ...live, health: "quiet" }, true, T, 0).lamp, "quiet");
  assert.equal(freshness({ ...live, health: "dead", fresh: false, phase: "ended" }, true, T, 0).lamp, "ended");
  assert.equal(freshness({ ...live, health: "dead", fresh: false, phase: "denied", denial: { status: 401, code: "X" } }, true, T, 0).lamp, "signed-out");
});

test("times are the server's", () => {
  assert.equal(freshness({ ...live, fresh: false, health: "dead", phase: "waiting" }, true, T - 60_000, 5_000).since, T + 5_000);
});

test("what is fresh has no age, however long ago the client has last said so", () => {
  assert.equal(ageOf(freshness(live, true, T, 0), T + 60_000), 0);
  assert.equal(ageOf(freshness({ ...live, fresh: false, health: "dead", phase: "waiting" }, true, T, 0), T + 60_000), 60_000);
  assert.equal(ageOf(freshness({ ...live, fresh: false, health: "dead", phase: "waiting" }, true, T, 5_000), T), 0, "by a clock that is a bit off");
  assert.equal(ageOf(freshness(INITIAL_STATUS, false, undefined, 0), T), undefined);
});
