import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

import { countdown, Format, UNKNOWN } from "./format.ts";
import { say, sayCode, sayGuard, words, type Word } from "./words.ts";

const places = (s: string) => (s.match(/\{\w+\}/g) ?? []).sort();

test("both languages have words for everything, with the same places to fill in", () => {
  const id = words("id");
  const en = words("en");
  assert.deepEqual(Object.keys(en).sort(), Object.keys(id).sort());
  for (const word of Object.keys(id) as Word[]) {
    assert.notEqual(id[word].trim(), "", word);
    assert.notEqual(en[word].trim(), "", word);
    assert.deepEqual(places(en[word]), places(id[word]), word);
  }
});

test("every guard and code of the server has words", () => {
  const source = readFileSync("../production/refusal.go", "utf8");
  const guards = [...source.matchAll(/Guard = "(\w+)"/g)].map((m) => m[1] ?? "");
  assert.ok(guards.length >= 20, `${guards.length} guards found in refusal.go`);
  for (const guard of guards) assert.notEqual(sayGuard("id", guard), sayGuard("id", "NEWER").replace("NEWER", guard), guard);
  for (const code of ["FORBIDDEN", "PIN_REQUIRED", "PIN_WRONG", "PIN_LOCKED", "VERSION_CONFLICT", "GUARDS_UNMET", "FINAL", "WRONG_STATUS", "NOT_FOUND"]) {
    assert.ok(source.includes(`"${code}"`), code);
    assert.ok(!sayCode("en", code).includes(code), code);
  }
  assert.equal(sayGuard("en", "NEWER"), "Another condition (NEWER)");
  assert.equal(sayGuard("id", "COOKING"), "Memasak"); // WRONG_STATUS lists statuses
  assert.equal(sayCode("id", "constructor"), "Server menolak (constructor)");
});

test("no word stands in the catalogue that nobody says", () => {
  const sources = readdirSync("board", { recursive: true, encoding: "utf8" }).filter((f) => /\.tsx?$/.test(f) && !f.includes("words"));
  const code = sources.map((f) => readFileSync(join("board", f), "utf8")).join("\n");
  const made = /^(guard_|code_|to_|reading_|show_)|^(LOW|MEDIUM|HIGH|CRITICAL|connected|connecting|quiet|disconnected|stale|signed-out|ended|wall|tablet|day)$/;
  const unsaid = Object.keys(words("id")).filter((w) => !made.test(w) && !new RegExp(`["']${w}["']|\\b${w}\\b`).test(code));
  assert.deepEqual(unsaid, []);
});

test("say fills in, and leaves what it has no value for", () => {
  assert.equal(say("id", "oldBanner", { lamp: "Terputus", time: "05.42", n: 3 }), "Terputus – data pukul 05.42 – 3 belum terkirim");
  assert.equal(say("en", "more", {}), "{n} more");
});

test("numbers and times as Indonesians write them, in the kitchen's zone", () => {
  const wib = new Format("id", "Asia/Jakarta");
  const wit = new Format("en", "Asia/Jayapura");
  const t = Date.parse("2026-11-25T17:05:09Z");
  assert.equal(wib.amount(1234.56), "1.234,6");
  assert.equal(wit.amount(1234.56), "1,234.6");
  assert.equal(wib.degrees(76.5), "76,5 °C");
  assert.deepEqual([wib.amount(undefined), wib.degrees(undefined), wib.percent(undefined), wib.clock(undefined)], [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN]);
  assert.equal(wib.amount(0), "0");
  assert.equal(wib.clock(t), "00.05");
  assert.equal(wit.clock(t, true), "02:05:09");
  assert.deepEqual([wib.day(t), wit.day(t), new Format("id", "Asia/Jakarta").day(t - 10 * 60_000)], ["2026-11-26", "2026-11-26", "2026-11-25"]);
  assert.deepEqual([wib.span(t, undefined), wib.span(undefined, undefined)], [`${wib.clock(t)}–${UNKNOWN}`, UNKNOWN]);
  assert.deepEqual([wib.zoneName, new Format("id", "Asia/Makassar").zoneName, wit.zoneName, new Format("id", "Mars/Phobos").zoneName], ["WIB", "WITA", "WIT", "WIB"]);
  assert.equal(wib.longDay(t), "Kamis, 26 November 2026");
});

test("countdowns never say that there is time left when there is none", () => {
  const cases: [number, string][] = [[4 * 3_600_000, "4:00:00"], [3_599_999, "1:00:00"], [59_001, "1:00"], [1, "0:01"], [0, "0:00"], [-999, "0:00"], [-1_000, "-0:01"], [-3_725_000, "-1:02:05"]];
  for (const [ms, want] of cases) assert.equal(countdown(ms), want, String(ms));
});

test("ages", () => {
  const f = new Format("id", "Asia/Jakarta");
  assert.deepEqual([-5, 1_999, 2_000, 61_000, 7_200_000].map((ms) => f.age(ms)), ["baru saja", "baru saja", "2 detik lalu", "1 menit lalu", "2 jam lalu"]);
});
