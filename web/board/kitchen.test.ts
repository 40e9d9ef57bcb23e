import assert from "node:assert/strict";
import test from "node:test";

import { applyEvent, applySnapshot, keep, NO_KITCHEN, readEvent, readKept, readSnapshot, withoutPast, type Kitchen } from "./kitchen.ts";
import { chance, mess, pick } from "../live/random.test-support.ts";

const T = 1_764_000_000_000;

function told(k: Kitchen, data: unknown): Kitchen {
  const event = readEvent({ data, time: T });
  return event === undefined ? k : applyEvent(k, event);
}

function update(id: string, version: number, data: object = {}): unknown {
  return { type: "production_update", productionId: id, data: { version, ...data }, timestamp: T };
}

function answer(productions: object[], alerts: object[] = []): unknown {
  return { productions, alerts, positions: { "production:updates:s1": { epoch: "e", offset: 7 }, odd: { epoch: 1 } } };
}

function snapshot(productions: object[], alerts: object[] = []) {
  const s = readSnapshot(answer(productions, alerts));
  assert.ok(s);
  return s;
}

test("a snapshot, and only one, is a snapshot", () => {
  const s = snapshot([{ id: "p1", version: 1 }, { version: 2 }]);
  assert.deepEqual(s.productions.map((p) => p.id), ["p1"]);
  assert.deepEqual(s.positions, { "production:updates:s1": { epoch: "e", offset: 7 } });
  for (const odd of [undefined, null, 1, "x", [], {}, { productions: {} }]) assert.equal(readSnapshot(odd), undefined);
});

test("what an event told while the snapshot was on its way stays", () => {
  const before = told(NO_KITCHEN, update("p1", 3, { status: "PREPARING" }));
  const now = told(told(before, update("p1", 5, { status: "COOKING" })), { type: "production_created", productionId: "p2", data: { version: 1 }, timestamp: T });
  const after = applySnapshot(before, now, snapshot([{ id: "p1", version: 4, status: "PREPARING" }]));
  assert.equal(after.productions.get("p1")?.status, "COOKING");
  assert.equal(after.productions.has("p2"), true);
  assert.equal(after.ready, true);
});

test("what the snapshot no longer has is gone", () => {
  const before = told(NO_KITCHEN, update("p1", 3));
  assert.deepEqual([...applySnapshot(before, before, snapshot([])).productions.keys()], []);
});

test("alerts go by their time, and resolved ones are gone", () => {
  const open = { id: "a1", productionId: "p1", severity: "HIGH", status: "OPEN", raisedAt: T };
  const before = applySnapshot(NO_KITCHEN, NO_KITCHEN, snapshot([], [open, { id: "a2", severity: "LOW", status: "OPEN", raisedAt: T }]));
  assert.deepEqual(before.alerts.map((a) => a.id), ["a1", "a2"]);
  const acknowledged = told(before, { type: "production_alert", productionId: "p1", alert: { ...open, status: "ACKNOWLEDGED", acknowledgedAt: T + 5 }, timestamp: T + 5 });
  const after = applySnapshot(before, acknowledged, snapshot([], [open]));
  assert.deepEqual(after.alerts.map((a) => [a.id, a.status]), [["a1", "ACKNOWLEDGED"]]);
  assert.deepEqual(applySnapshot(after, after, snapshot([])).alerts, []);
});

test("an update that comes late, or twice, changes nothing", () => {
  const k = told(told(NO_KITCHEN, update("p1", 2, { progress: 40 })), update("p1", 3, { progress: 60 }));
  assert.equal(told(k, update("p1", 2, { progress: 40 })).productions.get("p1")?.progress, 60);
  assert.equal(told(k, update("p1", 3, { progress: 60 })).productions.get("p1")?.progress, 60);
});

test("checks of events stay with their batch", () => {
  const checked = told(told(NO_KITCHEN, update("p1", 1)), { type: "production_update", productionId: "p1", data: { qualityCheck: { id: "c1", passed: true } }, timestamp: T });
  const after = applySnapshot(checked, checked, snapshot([{ id: "p1", version: 2 }]));
  assert.deepEqual(after.productions.get("p1")?.["qualityChecks"], [{ id: "c1", passed: true }]);
});

test("whatever the order of updates and snapshots, the newest version of each batch is shown", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = chance(seed);
    const newest = new Map<string, number>();
    let k = NO_KITCHEN;
    let asked = k;
    let server: Map<string, number> = new Map();
    let taken: Map<string, number> | undefined;
    for (let i = 0; i < 60; i++) {
      const id = pick(random, ["p1", "p2", "p3"]);
      if (random() < 0.15 && taken === undefined) {
        asked = k;
        taken = new Map(server); // the server reads its rows now; the answer comes later
      } else if (random() < 0.3 && taken !== undefined) {
        k = applySnapshot(asked, k, snapshot([...taken].map(([p, version]) => ({ id: p, version }))));
        taken = undefined;
      } else {
        const version = (server.get(id) ?? 0) + 1;
        server.set(id, version);
        newest.set(id, version);
        k = told(k, update(id, version));
      }
      for (const [p, version] of newest) assert.equal(k.productions.get(p)?.version, version, `seed ${seed}, step ${i}, ${p}`);
    }
  }
});

test("what was kept can be read again, and what is spoilt is not", () => {
  const k = applySnapshot(NO_KITCHEN, NO_KITCHEN, snapshot([{ id: "p1", version: 3, status: "COOKING" }], [{ id: "a1", productionId: "p1", severity: "HIGH", status: "OPEN", raisedAt: T }]));
  const read = readKept(JSON.parse(JSON.stringify(keep(k, T, -420_000))), T + 430_000);
  assert.equal(read?.at, T);
  assert.equal(read?.skewMs, -420_000, "the device is seven minutes ahead, as it was");
  assert.deepEqual([...(read?.kitchen.productions.values() ?? [])], [...k.productions.values()]);
  assert.deepEqual(read?.kitchen.alerts.map((a) => [a.id, a.severity]), [["a1", "HIGH"]]);
  const random = chance(3);
  for (let i = 0; i < 500; i++) readKept(mess(random), T);
  for (const odd of [undefined, {}, { at: T }, { productions: [] }, { at: "x", productions: [] }]) assert.equal(readKept(odd, T), undefined);
  for (const odd of [undefined, "5", null]) assert.equal(readKept({ ...keep(k, T, 0), skewMs: odd }, T + 5)?.skewMs, 0);
  assert.equal(readKept(keep(k, T, -420_000), T + 60_000)?.skewMs, -60_000, "its clock was set back since: time does not go back");
});

test("what is over goes with its day; what is open, or of a day that nobody knows, stays", () => {
  const k = applySnapshot(NO_KITCHEN, NO_KITCHEN, snapshot([
    { id: "old", status: "COMPLETED", productionDate: "2026-11-24" }, { id: "thrown", status: "CANCELLED", productionDate: "2026-11-24" },
    { id: "late", status: "COOKING", productionDate: "2026-11-24" }, { id: "yesterday", status: "COMPLETED", productionDate: "2026-11-25" },
    { id: "unknown", status: "COMPLETED" },
  ]));
  const next = withoutPast(k, "2026-11-25");
  assert.deepEqual([...next.productions.keys()], ["late", "yesterday", "unknown"]);
  assert.equal(withoutPast(next, "2026-11-25"), next, "nothing to do: the same object");
  assert.equal(k.productions.size, 5, "the one before is as it was");
});
