import assert from "node:assert/strict";
import test from "node:test";

import { chance, mess } from "../live/random.test-support.ts";
import { dayBeside, figuresOf, linesOf } from "./day.ts";
import { Format } from "./format.ts";
import { say as sayIn, type Values, type Word } from "./words.ts";

const format = new Format("id", "Asia/Jakarta");
const say = (word: Word, values?: Values) => sayIn("id", word, values);
const at = (minute: number) => new Date(Date.UTC(2026, 10, 25, 20, minute)).toISOString();

test("the log has every entry once, newest first", () => {
  const log = {
    batches: [{
      production: { batchNumber: "BATCH-20261126-0001" },
      steps: [{ at: at(0), to: "COOKING", by: "u1" }],
      readings: [{ takenAt: at(5), kind: "CORE", dish: "Nasi", celsius: 76.5, takenBy: "u2" }],
      checks: [{ checkTime: at(9), checkType: "TASTE", passed: false, actualValue: "2", actionTaken: "dibumbui", checkedBy: "u3" }],
      samples: [{ takenAt: at(10), takenBy: "u3" }],
      photoNotes: [{ id: "f1", productionId: "p/1", takenAt: at(20), note: "segel", takenBy: "u2", width: 40, height: 30 }],
      corrections: [{ correctedAt: at(40), field: "notes", value: "benar", reason: "salah ketik", correctedBy: "u1" }],
      dispatches: [{ takenAt: at(30), portions: 1200, dispatchedBy: "u4" }],
      alerts: [{ id: "a", severity: "HIGH", message: { id: "Suhu inti kurang" }, raisedAt: Date.parse(at(6)) }],
    }],
  };
  assert.deepEqual(linesOf(log, format, say).map((l) => [format.clock(l.at), l.what, l.value, l.bad, l.who]), [
    ["03.40", "Koreksi – notes", "benar – salah ketik", false, "u1"],
    ["03.30", "Catat Pengiriman", "1.200", false, "u4"],
    ["03.20", "Foto", "segel", false, "u2"],
    ["03.10", "Sampel", "", false, "u3"],
    ["03.09", "Periksa Rasa", "Gagal – 2 – dibumbui", true, "u3"],
    ["03.06", "Peringatan: Suhu inti kurang", "Tinggi", true, undefined],
    ["03.05", "Suhu inti – Nasi", "76,5 °C", false, "u2"],
    ["03.00", "Langkah: Memasak", "", false, "u1"],
  ]);
});

test("figures have their counts, and unknown is no 0", () => {
  const figures = figuresOf({ summary: { checksPassed: { count: 9, of: 10, percent: 90 }, yieldPercentage: { value: null, count: 0 } } }, format, say);
  const by = new Map(figures.map((f) => [f.word, f]));
  assert.deepEqual([by.get("checksPassed")?.value, by.get("checksPassed")?.count], ["90 %", "9 dari 10"]);
  assert.deepEqual([by.get("yield")?.value, by.get("yield")?.count], ["–", "rata-rata 0 batch"]);
  assert.deepEqual(figuresOf(undefined, format, say).map((f) => f.value + f.count), Array(8).fill("–"), "before there was an answer nothing is counted");
});

test("nothing that a server may answer throws", () => {
  const random = chance(5);
  for (let i = 0; i < 500; i++) {
    const m = mess(random);
    linesOf({ batches: [m, { steps: [m], readings: [m], checks: [m], alerts: [m] }] }, format, say);
    figuresOf(m, format, say);
  }
});

test("the days beside a day, over the ends of months and years", () => {
  assert.deepEqual([dayBeside("2026-11-26", -1), dayBeside("2026-12-31", 1), dayBeside("2028-03-01", -1), dayBeside("2026-11-26", 0)], ["2026-11-25", "2027-01-01", "2028-02-29", "2026-11-26"]);
});
