import assert from "node:assert/strict";
import test from "node:test";

import { field, instant, list, number, plain, shown, text } from "./json.ts";

test("field reads own fields only", () => {
  assert.equal(field({ a: 1 }, "a"), 1);
  for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"]) assert.equal(field({}, name), undefined, name);
  for (const v of [null, undefined, 1, "a", [1], ["length"]]) assert.equal(field(v, "length"), undefined);
});

test("text is none if it is blank or of another type", () => {
  for (const v of ["", "  ", "\n\t", 1, null, {}, ["a"], true]) assert.equal(text({ v }, "v"), undefined);
  assert.equal(text({ v: "  Nasi kuning " }, "v"), "Nasi kuning");
  assert.equal(text({ v: "abcdef" }, "v", 3), "abc…");
});

test("number is none if it is outside, no number, or a number as text", () => {
  for (const v of [NaN, Infinity, -Infinity, -1, 101, "5", null, [5], true]) assert.equal(number({ v }, "v", 0, 100), undefined, String(v));
  assert.equal(number({ v: 0 }, "v", 0, 100), 0);
});

test("instant reads milliseconds and ISO 8601", () => {
  assert.equal(instant({ v: 1761000000000 }, "v"), 1761000000000);
  assert.equal(instant({ v: "2026-01-01T00:00:00.123Z" }, "v"), Date.UTC(2026, 0, 1, 0, 0, 0, 123));
  for (const v of [0, -5, 1e300, NaN, "", "yesterday", "5", "2026-13-45T00:00:00Z", {}]) assert.equal(instant({ v }, "v"), undefined, String(v));
});

test("list is empty for everything else", () => {
  assert.deepEqual(list({ v: [1, 2] }, "v"), [1, 2]);
  for (const v of [{ length: 2 }, "ab", null]) assert.deepEqual(list({ v }, "v"), []);
});

test("plain leaves nothing that deceives the reader", () => {
  assert.equal(plain("a\u202Eb\u0000c\u2066d", 20), "a�b�c�d");
  assert.equal(plain("a\nb\r\n\tc", 20), "a b c");
  assert.equal(plain("<b>&amp;</b>", 20), "<b>&amp;</b>"); // it is shown as text, so it may stay as it is
  assert.equal(plain("ab😀", 3), "ab…"); // no half of a character
  assert.equal(plain("Bubur ayam – 2 °C", 20), "Bubur ayam – 2 °C");
});

test("shown stands everything that JSON can hold", () => {
  assert.equal(shown({ a: [1, null] }, 100), '{"a":[1,null]}');
  assert.equal(shown(undefined, 100), "–");
  assert.ok(shown("x".repeat(10_000), 50).length <= 51);
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i++) deep = [deep];
  assert.equal(shown(deep, 100), "{…}");
});
