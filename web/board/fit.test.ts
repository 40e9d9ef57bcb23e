import assert from "node:assert/strict";
import test from "node:test";

import { alertsThatFit, fit, MOST_CARDS, pageOf } from "./fit.ts";

test("few cards are large, and more become smaller but never too small to read", () => {
  let before = Infinity;
  for (let n = 1; n <= MOST_CARDS; n++) {
    const { cards, columns, rows, letter, shape } = fit(n, 1470, 840);
    const clock = letter * (shape === "wide" ? 3.6 : 3);
    assert.equal(cards, n, "all are seen at 1080p");
    assert.ok(columns * rows >= n && columns * (rows - 1) < n, `${n} in ${columns} × ${rows}`);
    assert.ok(clock <= before, `${n} cards have a larger clock than ${n - 1}`);
    assert.ok(letter >= 10);
    before = clock;
  }
  assert.deepEqual(fit(4, 1470, 840), { cards: 4, columns: 2, rows: 2, shape: "wide", letter: 1470 / 58.7 });
  assert.equal(fit(1, 1470, 840).letter, 1470 / 34, "one card does not fill the wall");
});

test("a place that is too small has fewer at a time, and one at least", () => {
  assert.equal(fit(12, 1046, 585).cards, 12, "1366 × 768 with an alarm");
  assert.ok(fit(12, 1046, 400).cards < 12);
  for (const [width, height] of [[0, 0], [50, 2000], [2000, 50], [1, 1]] as const) assert.equal(fit(12, width, height).cards, 1);
  assert.equal(fit(0, 1470, 840).cards, 0);
  assert.equal(fit(40, 1470, 840).cards, 12);
});

test("whatever the size, nothing is wider or higher than the place", () => {
  for (let n = 1; n <= 20; n++) {
    for (let width = 300; width < 3000; width += 170) {
      for (let height = 300; height < 2000; height += 130) {
        const { cards, columns, rows, letter, shape } = fit(n, width, height);
        const [w, h] = shape === "wide" ? [29, 14.4] : [22, 16.5];
        assert.ok(cards >= 1 && columns * rows >= cards);
        assert.ok(letter * (columns * w + (columns - 1) * 0.7) <= width + 1e-6 && letter * (rows * h + (rows - 1) * 0.7) <= height + 1e-6);
      }
    }
  }
});

test("pages show each card, and the most urgent row on all of them", () => {
  assert.deepEqual(pageOf(12, 12, 4, 7), { places: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], page: 0, pages: 1 });
  for (const [n, cards, columns] of [[13, 12, 4], [40, 12, 4], [5, 4, 4], [3, 1, 1], [9, 6, 3]] as const) {
    const { pages } = pageOf(n, cards, columns, 0);
    const seen = new Set<number>();
    for (let second = 0; second < pages * 12; second += 12) {
      const { places, page } = pageOf(n, cards, columns, second);
      assert.equal(page, second / 12);
      assert.ok(places.length <= cards && new Set(places).size === places.length);
      if (cards > columns) for (let i = 0; i < columns; i++) assert.equal(places[i], i);
      for (const p of places) seen.add(p);
    }
    assert.equal(seen.size, n);
    assert.equal(pageOf(n, cards, columns, pages * 12).page, 0, "and again from the first");
  }
});

test("as many alerts as are whole, and one at least", () => {
  assert.equal(alertsThatFit(5, 40), 5);
  assert.equal(alertsThatFit(9, 40), 5);
  assert.equal(alertsThatFit(3, 2), 1);
  assert.equal(alertsThatFit(0, 40), 0);
});
