import assert from "node:assert/strict";
import test from "node:test";

import { chance, pick } from "../live/random.test-support.ts";
import { press, readTyped } from "./view/pad.tsx";
import { both } from "./view/unsent.tsx";
import { shortNumber } from "./batch.ts";
import { idOf } from "./view/tablet.tsx";
import { worstOf } from "./view/wall.tsx";

const CELSIUS = { least: -30, most: 130, decimals: 1 } as const;
const COUNT = { least: 0, most: 10_000, decimals: 0 } as const;

test("what is typed is a number within its bounds, or none", () => {
  const cases: [string, number | undefined][] = [["76,5", 76.5], ["-18", -18], ["130", 130], ["130,1", undefined], ["-30,1", undefined], ["", undefined], ["-", undefined], ["7,", 7]];
  for (const [typed, want] of cases) assert.equal(readTyped(typed, CELSIUS), want, typed);
  assert.equal(readTyped("1200", COUNT), 1200);
  assert.equal(readTyped("1,5", COUNT), undefined);
  assert.equal(readTyped("10001", COUNT), undefined);
});

test("whatever keys are pressed, the pad holds what can be read or finished", () => {
  const random = chance(11);
  for (let i = 0; i < 500; i++) {
    let typed = "";
    for (let n = 0; n < 12; n++) {
      typed = press(typed, pick(random, ["0", "1", "9", ",", "−", "⌫"]), 1);
      assert.match(typed, /^-?\d{0,5}(,\d?)?$/, typed);
    }
    typed = "";
    for (let n = 0; n < 12; n++) typed = press(typed, pick(random, ["0", "5", ",", "⌫"]), 0);
    assert.match(typed, /^\d{0,5}$/);
  }
  assert.equal(["7", "6", ",", "5", "5"].reduce((t, k) => press(t, k, 1), ""), "76,5");
  assert.equal(press("0", "7", 0), "7");
});

test("a conflict shows both values, and unknown as unknown", () => {
  const note = { tag: "k", label: { word: "portions" }, batchId: "p1", right: "work", basis: { actualPortions: 100 } } as const;
  assert.deepEqual(both({ send: { actualPortions: 120 }, note }, { id: "p1", actualPortions: 110 }, String), { theirs: "110", ours: "120" });
  assert.deepEqual(both({ send: { actualPortions: 120 }, note }, { id: "p1" }, String), { theirs: "–", ours: "120" });
  const step = { ...note, basis: { status: "COOKING" } };
  assert.deepEqual(both({ send: { to: "QUALITY_CHECK" }, note: step }, { id: "p1", status: "CANCELLED" }, String), { theirs: "@CANCELLED", ours: "@QUALITY_CHECK" });
  assert.equal(both(undefined, { id: "p1" }, String), undefined);
});

test("the gravest alert, and the short number of a batch", () => {
  assert.equal(worstOf([]), "none");
  assert.equal(worstOf([undefined, "LOW"]), undefined);
  assert.equal(worstOf(["MEDIUM", "CRITICAL", "LOW"]), "CRITICAL");
  assert.deepEqual(["BATCH-20261126-0003", "KLOTER 2", undefined].map(shortNumber), ["0003", "KLOTER 2", ""]);
});

test("the batch in an address, whatever was pasted there", () => {
  assert.deepEqual(["b/p1", "b/SPPG%207%2F1", "b/", "", "unsent", "b/%E0%A4%A", "b/%"].map(idOf), ["p1", "SPPG 7/1", "", "", "", "%E0%A4%A", "%"]);
});
