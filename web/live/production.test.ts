import assert from "node:assert/strict";
import test from "node:test";

import { applyProduction, doubt, MAX_PRODUCTIONS, sorted, type Production, type Productions } from "./production.ts";
import { chance, HOSTILE, mess } from "./random.test-support.ts";

const NONE: Productions = new Map();

function after(...events: unknown[]): Productions {
  return events.reduce<Productions>((p, e, i) => applyProduction(p, e, 1000 + i), NONE);
}

function update(data: unknown): unknown {
  return { type: "production_update", productionId: "p1", data, timestamp: 1, updatedBy: "u1" };
}

function p1(productions: Productions): Production {
  const p = productions.get("p1");
  assert.ok(p);
  return p;
}

test("a batch is created, and updates change only what they name", () => {
  const created = { type: "production_created", productionId: "p1", data: { id: "p1", batchNumber: "BATCH-20261124-0001", status: "PLANNED", plannedPortions: 2500 } };
  const p = p1(after(created, update({ status: "COOKING", progress: 35 }), update({ actualTemperature: 76.5 })));
  assert.equal(p.batch, "BATCH-20261124-0001");
  assert.equal(p.status, "COOKING");
  assert.equal(p.progress, 35);
  assert.equal(p.coreTemperature, 76.5);
  assert.equal(p.plannedPortions, 2500);
  assert.equal(p.actualPortions, undefined);
  assert.equal(p.changedAt, 1002);
});

test("what was never told is unknown and not 0", () => {
  const p = p1(after(update({ status: "COOKING" })));
  assert.deepEqual([p.progress, p.coreTemperature, p.plannedPortions, p.actualPortions, p.consumeBy, p.batch], Array(6).fill(undefined));
});

test("0 is a value", () => {
  const p = p1(after(update({ progress: 0, actualTemperature: 0, actualPortions: 0 })));
  assert.deepEqual([p.progress, p.coreTemperature, p.actualPortions], [0, 0, 0]);
});

test("newStatus is a status, and an unknown status changes nothing", () => {
  assert.equal(p1(after(update({ newStatus: "QUALITY_CHECK" }))).status, "QUALITY_CHECK");
  assert.equal(p1(after(update({ status: "COOKING" }), update({ status: "EXPLODED" }))).status, "COOKING");
  assert.equal(p1(after(update({ status: "constructor" }))).status, undefined);
});

test("the older shape of production_created is understood", () => {
  const event = { eventType: "PRODUCTION_CREATED", timestamp: "2026-01-01T00:00:00Z", data: { id: "p1", batchNumber: "B", menuName: "Soto", status: "PLANNED" } };
  const p = p1(after(event));
  assert.deepEqual([p.batch, p.menu, p.status], ["B", "Soto", "PLANNED"]);
});

test("an event that is not newer by its version changes nothing", () => {
  const events = [update({ version: 5, progress: 50 }), update({ version: 4, progress: 40 }), update({ version: 5, progress: 45 })];
  assert.equal(p1(after(...events)).progress, 50);
  assert.equal(p1(after(...events, update({ version: 6, progress: 60 }))).progress, 60);
});

test("a deleted batch goes", () => {
  assert.equal(after(update({ status: "PLANNED" }), update({ deleted: true })).size, 0);
});

test("other events leave the same map", () => {
  const before = after(update({ status: "PLANNED" }));
  const events = [{ type: "production_alert", productionId: "p1", alert: {} }, { type: "menu_update", data: {} }, update(undefined), update("x"), { type: "production_update", data: {} }];
  for (const event of [...events, ...HOSTILE]) assert.equal(applyProduction(before, event, 5000), before);
});

test("doubt ends with the next event of the batch", () => {
  const doubted = doubt(after(update({ status: "COOKING" })));
  assert.equal(p1(doubted).doubtful, true);
  assert.equal(p1(applyProduction(doubted, update({ progress: 40 }), 2000)).doubtful, false);
});

test("the board begins with what is in work", () => {
  const event = (id: string, status: string) => ({ type: "production_update", productionId: id, data: { status } });
  const all = after(event("done", "COMPLETED"), event("planned", "PLANNED"), event("cooking", "COOKING"), event("off", "CANCELLED"), event("check", "QUALITY_CHECK"));
  assert.deepEqual(sorted(all).map((p) => p.id), ["check", "cooking", "planned", "off", "done"]);
});

test("the one that changed longest ago goes when there are too many", () => {
  let all = NONE;
  for (let i = 0; i < MAX_PRODUCTIONS + 10; i++) all = applyProduction(all, { type: "production_update", productionId: `p${i}`, data: {} }, i);
  assert.equal(all.size, MAX_PRODUCTIONS);
  assert.equal(all.has("p9"), false);
  assert.equal(all.has("p10"), true);
});

test("nothing that comes makes it throw, or a value leave its range", () => {
  const random = chance(2);
  let all = NONE;
  for (let i = 0; i < 4000; i++) {
    all = applyProduction(all, { ...(mess(random) as object), type: "production_update" }, i);
    all = applyProduction(all, { type: "production_update", productionId: "p1", data: mess(random) }, i);
  }
  assert.ok(all.size > 0 && all.size <= MAX_PRODUCTIONS);
  for (const p of all.values()) {
    assert.ok(p.progress === undefined || (p.progress >= 0 && p.progress <= 100));
    assert.ok(p.id.length <= 201);
  }
});
