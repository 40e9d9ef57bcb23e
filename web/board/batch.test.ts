import assert from "node:assert/strict";
import test from "node:test";

import { byUrgency, latestChecks, nextStatus, readBatch, STATUSES, timeLeft, toneOf, type Batch } from "./batch.ts";
import { HOSTILE, chance, mess } from "../live/random.test-support.ts";

const T = Date.parse("2026-11-26T02:00:00Z");
const HOUR = 3_600_000;

function batch(changes: Record<string, unknown> = {}): Batch {
  return readBatch({ id: "p1", status: "COOKING", ...changes });
}

test("what is not told is undefined, and never 0", () => {
  const b = readBatch({ id: "p1" });
  for (const name of ["status", "progress", "portions", "plannedPortions", "celsius", "consumeBy", "wasteKg", "version"] as const) {
    assert.equal(b[name], undefined, name);
  }
  assert.equal(readBatch({ id: "p1", actualPortions: 0 }).portions, 0);
});

test("a row of the server", () => {
  const b = readBatch({
    id: "p1", batchNumber: "BATCH-20261126-0003", status: "QUALITY_CHECK", controlMode: "COLD", actualTemperature: 76.5, consumeBy: "2026-11-26T06:00:00.000Z",
    dishes: [{ name: "Nasi", cold: false, coreTempC: 81 }, { name: "Buah", cold: true, coreTempC: null }, { cold: true }], reworkCount: 1, version: 12,
  });
  assert.deepEqual(b.dishes, [{ name: "Nasi", cold: false, celsius: 81 }, { name: "Buah", cold: true, celsius: undefined }]);
  assert.deepEqual([b.number, b.status, b.mode, b.celsius, b.consumeBy, b.reworks, b.version], ["BATCH-20261126-0003", "QUALITY_CHECK", "COLD", 76.5, T + 4 * HOUR, 1, 12]);
});

test("hostile rows are read without a throw, and give nothing of a wrong type", () => {
  const random = chance(7);
  for (let i = 0; i < 2_000; i++) {
    const made = mess(random);
    const row = { ...(typeof made === "object" && made !== null ? made : {}), progress: HOSTILE[i % HOSTILE.length], id: "p" } as Record<string, unknown> & { id: string };
    const b = readBatch(row);
    assert.ok(b.progress === undefined || (b.progress >= 0 && b.progress <= 100));
    assert.ok(b.status === undefined || STATUSES.includes(b.status));
    latestChecks(row);
  }
});

test("no status is skipped, and none follows the last", () => {
  assert.deepEqual(STATUSES.map(nextStatus), ["PREPARING", "COOKING", "QUALITY_CHECK", "COMPLETED", undefined, undefined]);
  assert.equal(nextStatus(undefined), undefined);
});

test("the tone of a batch: by time used and by alerts", () => {
  const clock = { cookedAt: T, consumeBy: T + 4 * HOUR };
  assert.equal(toneOf(batch(clock), [], T + 1 * HOUR), "good");
  assert.equal(toneOf(batch(clock), [], T + 3 * HOUR - 1), "good");
  assert.equal(toneOf(batch(clock), [], T + 3 * HOUR), "watch");
  assert.equal(toneOf(batch(clock), [], T + 4 * HOUR), "bad");
  assert.equal(toneOf(batch({ ...clock, dispatchedAt: T }), [], T + 9 * HOUR), "good");
  assert.equal(toneOf(batch({ status: "PLANNED" }), [], T), "idle");
  assert.equal(toneOf(batch({ status: "PLANNED" }), ["LOW"], T), "idle");
  assert.equal(toneOf(batch(), ["MEDIUM"], T), "watch");
  assert.equal(toneOf(batch(), [undefined], T), "watch");
  assert.equal(toneOf(batch(), ["LOW", "HIGH"], T), "bad");
  assert.equal(toneOf(batch({ plannedEndTime: T - 1 }), [], T), "watch");
  assert.equal(toneOf(batch({ status: "COMPLETED", plannedEndTime: T - 1 }), [], T), "good");
});

test("a batch that is dispatched or cancelled has no clock", () => {
  assert.equal(timeLeft(batch({ consumeBy: T }), T - 5), 5);
  assert.equal(timeLeft(batch({ consumeBy: T, dispatchedAt: T - 9 }), T - 5), undefined);
  assert.equal(timeLeft(batch({ consumeBy: T, status: "CANCELLED" }), T - 5), undefined);
});

test("the order: what has to be eaten first, then what runs, then what is planned, then what is over", () => {
  const rows = [
    { id: "done", status: "COMPLETED" }, { id: "late", status: "PLANNED", plannedStartTime: T + 9 }, { id: "soon", status: "PLANNED", plannedStartTime: T },
    { id: "cook", status: "COOKING" }, { id: "urgent", status: "QUALITY_CHECK", consumeBy: T }, { id: "next", status: "QUALITY_CHECK", consumeBy: T + 1 },
  ].map((r) => readBatch(r));
  assert.deepEqual(rows.sort(byUrgency).map((b) => b.id), ["urgent", "next", "cook", "soon", "late", "done"]);
});

test("the latest check of a type counts", () => {
  const checks = latestChecks({
    qualityChecks: [
      { checkType: "TASTE", passed: false, checkTime: "2026-11-26T02:00:00Z" }, { checkType: "TASTE", passed: true, checkTime: "2026-11-26T02:05:00Z" },
      { checkType: "HYGIENE", passed: true, checkTime: "2026-11-26T02:00:00Z" }, { checkType: "HYGIENE", passed: false, checkTime: "2026-11-26T01:00:00Z" },
      { checkType: "MOOD", passed: true }, null, { checkType: "SAFETY" },
    ],
  });
  assert.deepEqual([...checks], [["TASTE", true], ["HYGIENE", true]]);
});
