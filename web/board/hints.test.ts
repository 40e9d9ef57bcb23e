import assert from "node:assert/strict";
import test from "node:test";

import { missing, withRecords, type Known } from "./hints.ts";
import { NO_SETTING } from "./api.ts";
import { readBatch } from "./batch.ts";
import { readEvent, type Production } from "./kitchen.ts";

const T = 1_764_000_000_000;

function known(row: Record<string, unknown>, rest: Partial<Known> = {}): Known {
  const production = { id: "p1", ...row } as Production;
  return { batch: readBatch(production), row: production, alerts: [], complete: true, limits: NO_SETTING.limits, now: T, ...rest };
}

const passed = (...types: string[]) => types.map((checkType) => ({ id: checkType, checkType, passed: true, checkTime: T }));

test("each step misses what the server would miss", () => {
  assert.deepEqual(missing(known({ status: "PLANNED" })), ["HEAD_COOK_SET"]);
  assert.deepEqual(missing(known({ status: "PREPARING" })), ["HYGIENE_PASSED"]);
  assert.deepEqual(missing(known({ status: "PREPARING", qualityChecks: passed("HYGIENE") })), []);
  assert.deepEqual(missing(known({ status: "COOKING" })), ["READING_IN_COOKING", "ACTUAL_PORTIONS"]);
  assert.deepEqual(missing(known({ status: "COOKING", actualTemperature: 80, actualPortions: 1 })), []);
  assert.deepEqual(missing(known({ status: "COMPLETED" })), []);
});

test("a release misses everything at once, and nothing when all is there", () => {
  assert.deepEqual(missing(known({ status: "QUALITY_CHECK", consumeBy: T })), [
    "TEMPERATURE_PASSED", "TASTE_PASSED", "APPEARANCE_PASSED", "SAFETY_PASSED", "HYGIENE_PASSED", "CORE_TEMPERATURE", "BEFORE_CONSUME_BY", "SAMPLE_TAKEN",
  ]);
  const ready = {
    status: "QUALITY_CHECK", consumeBy: T + 1, sampleTakenAt: T, actualTemperature: 75, qualityChecks: passed("TEMPERATURE", "TASTE", "APPEARANCE", "SAFETY", "HYGIENE"),
  };
  assert.deepEqual(missing(known(ready)), []);
  const event = readEvent({ data: { type: "production_alert", productionId: "p1", alert: { id: "a", severity: "CRITICAL" } }, time: T });
  assert.ok(event?.kind === "alert");
  assert.deepEqual(missing(known(ready, { alerts: [event.alert] })), ["NO_OPEN_CRITICAL_ALERT"]);
  assert.deepEqual(missing(known({ ...ready, dishes: [{ name: "Nasi", coreTempC: 80 }, { name: "Ayam", coreTempC: 74.9 }, { name: "Buah", cold: true }] })), ["CORE_TEMPERATURE"]);
});

test("what is not known is not claimed", () => {
  assert.deepEqual(missing(known({ status: "PREPARING" }, { complete: false })), []);
  assert.deepEqual(missing(known({ status: "PREPARING", qualityChecks: [{ checkType: "HYGIENE", passed: false }] }, { complete: false })), ["HYGIENE_PASSED"]);
});

test("records are merged with what events told, each once", () => {
  const row = withRecords({ id: "p1", qualityChecks: [{ id: "c2", checkTime: T + 2 }, { id: "c1", checkTime: T }] } as unknown as Production, { checks: [{ id: "c1", checkTime: T }, { id: "c0", checkTime: T - 1 }] });
  assert.deepEqual((row["qualityChecks"] as { id: string }[]).map((c) => c.id), ["c0", "c1", "c2"]);
});
