/**
 * How the wall is laid out: so many cards a row that what is on them is as large as it can be and nothing of it is cut off. A card is
 * measured in the size of its own letters, so what fits once fits on every screen. Pure.
 */

/** Two shapes of a card, in its own letters (em): the clock with the figures beside it, and with the figures below it. */
interface Shape {
  readonly width: number;
  readonly height: number;
  readonly clock: number; // how large the countdown is
}
const SHAPES: Readonly<Record<"wide" | "tall", Shape>> = {
  // The width is a countdown of eight digits beside "3.412 / 3.500", or a status beside a severity; the height has two lines for the name.
  wide: { width: 29, height: 14.4, clock: 3.6 },
  tall: { width: 22, height: 16.5, clock: 3 },
};

/** Between cards, in letters; board.css says the same. */
const GAP = 0.7;
/** So many batches are on one page at most: three rows of four are still read at a glance. */
export const MOST_CARDS = 12;
/** Smaller letters are not read from three metres: a smaller page has fewer cards, and others follow it. */
const LEAST_LETTER = 10;
/** Larger ones serve nobody: one card does not fill a wall. In parts of the width. */
const MOST_LETTER = 1 / 34;

export interface Layout {
  readonly columns: number;
  readonly rows: number;
  readonly shape: "wide" | "tall";
  readonly letter: number; // px
}

/** Reports whether a layout is better: first that all can be read, then how large the countdown is. */
function better(a: Layout, b: Layout): boolean {
  const read = (l: Layout) => l.letter >= LEAST_LETTER;
  if (read(a) !== read(b)) return read(a);
  return a.letter * SHAPES[a.shape].clock > b.letter * SHAPES[b.shape].clock;
}

/** Returns the best layout of n cards in a place of this size in px. */
function grid(n: number, width: number, height: number): Layout {
  let best: Layout = { columns: 1, rows: n, shape: "wide", letter: 0 };
  for (let columns = 1; columns <= n; columns++) {
    const rows = Math.ceil(n / columns);
    for (const shape of ["wide", "tall"] as const) {
      const s = SHAPES[shape];
      const letter = Math.min(width / (columns * s.width + (columns - 1) * GAP), height / (rows * s.height + (rows - 1) * GAP), width * MOST_LETTER);
      const layout: Layout = { columns, rows, shape, letter };
      if (better(layout, best)) best = layout;
    }
  }
  return best;
}

/** Returns how n cards are shown in a place of this size: how many at a time, and how these are laid out. */
export function fit(n: number, width: number, height: number): Layout & { readonly cards: number } {
  for (let cards = Math.min(n, MOST_CARDS); ; cards--) {
    const layout = grid(Math.max(1, cards), width, height);
    if (cards <= 1 || layout.letter >= LEAST_LETTER) return { ...layout, cards };
  }
}

/** So long each page is shown, in seconds: twelve cards are read in this time. */
const PAGE_SECONDS = 12;

/** What one page shows of n cards, by their places: the first row always, for it is the most urgent, and a part of the others. */
export interface Page {
  readonly places: readonly number[];
  readonly page: number; // from 0
  readonly pages: number;
}

/** Returns what is shown of n cards, cards at a time in rows of columns, at this second. */
export function pageOf(n: number, cards: number, columns: number, second: number): Page {
  const all = Array.from({ length: n }, (_, i) => i);
  if (n <= cards) return { places: all, page: 0, pages: 1 };
  const stay = cards > columns ? columns : 0;
  const turn = Math.max(1, cards - stay);
  const pages = Math.ceil((n - stay) / turn);
  const page = Math.floor(second / PAGE_SECONDS) % pages;
  return { places: [...all.slice(0, stay), ...all.slice(stay + page * turn, stay + (page + 1) * turn)], page, pages };
}

/** A small alert on the wall, in letters of the page: two lines of what it says between its severity and its batch. */
const ALERT_HEIGHT = 7.6;

/** Returns how many of n alerts are whole in a place of this height, in letters; one at least. */
export function alertsThatFit(n: number, height: number): number {
  return Math.min(n, Math.max(1, Math.floor(height / ALERT_HEIGHT)));
}
