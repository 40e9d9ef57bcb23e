import assert from "node:assert/strict";
import test from "node:test";

import { age, amount, clock, UNKNOWN, zone } from "./format.ts";
import { say, sayCause, words, type Word } from "./words.ts";

const places = (s: string) => (s.match(/\{\w+\}/g) ?? []).sort();

test("both languages have words for everything, with the same places to fill in", () => {
  const id = words("id");
  const en = words("en");
  for (const word of Object.keys(id) as Word[]) {
    assert.notEqual(id[word].trim(), "", word);
    assert.notEqual(en[word].trim(), "", word);
    if (word !== "clock") assert.deepEqual(places(en[word]), places(id[word]), word);
  }
  assert.deepEqual(Object.keys(en).sort(), Object.keys(id).sort());
});

test("say fills in, and leaves what it has no value for", () => {
  assert.equal(say("id", "lastMessage", { age: "12 detik lalu" }), "Pesan terakhir 12 detik lalu");
  assert.equal(say("en", "retryIn", {}), "Trying again in {n} s");
  assert.equal(say("id", "refused", { reason: "{n} $& $1" }), "Ditolak: {n} $& $1");
});

test("a cause that is not known has words too", () => {
  assert.equal(sayCause("en", "intake"), "the line from the app broke");
  for (const cause of ["hole", "toString", "", "__proto__"]) assert.equal(sayCause("id", cause), "sebab tidak diketahui", cause);
});

test("ages", () => {
  const cases: [number, string, string][] = [
    [-5000, "baru saja", "just now"],
    [999, "baru saja", "just now"],
    [12_500, "12 detik lalu", "12 s ago"],
    [60_000, "1 menit lalu", "1 min ago"],
    [3_599_999, "59 menit lalu", "59 min ago"],
    [7_200_000, "2 jam lalu", "2 h ago"],
    [2 * 86_400_000, "2 hari lalu", "2 d ago"],
  ];
  for (const [ms, id, en] of cases) assert.deepEqual([age("id", ms), age("en", ms)], [id, en], String(ms));
});

test("numbers and times as Indonesians write them", () => {
  assert.equal(amount("id", 1234.56), "1.234,6");
  assert.equal(amount("en", 1234.56), "1,234.6");
  assert.equal(amount("id", 0), "0");
  assert.equal(amount("id", undefined), UNKNOWN);
  const noon = new Date(2026, 0, 1, 14, 5, 9).getTime();
  assert.equal(clock("id", noon), "14.05");
  assert.equal(clock("en", noon, true), "14:05:09");
  assert.deepEqual([-420, -480, -540, 0, 300].map(zone), ["WIB", "WITA", "WIT", "", ""]);
});
