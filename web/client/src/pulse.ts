/**
 * How often a line is asked for a sign of life. A path that proves stable is asked less often, which saves data and battery; one on
 * which the line died without a word is asked more often, for routers of mobile networks forget quiet connections.
 */

export interface Pulse {
  readonly everyMs: number;
  /** Answers in a row since the interval was changed. */
  readonly answers: number;
}

/** Where it starts, and the shortest it gets. */
export const PULSE_START_MS = 7_000;
export const PULSE_LEAST_MS = 4_000;
/** While nobody looks: the server closes a silent line after 50 s by itself, and the browser answers its pings. */
export const PULSE_HIDDEN_MS = 60_000;
/** So many answers in a row make a path stable, and the interval a quarter longer. */
const STABLE_AFTER = 8;

export const PULSE: Pulse = { everyMs: PULSE_START_MS, answers: 0 };

/** A sign of life was asked for and came. most is the longest interval that may be learned. */
export function answered(p: Pulse, most: number): Pulse {
  if (p.answers + 1 < STABLE_AFTER) return { ...p, answers: p.answers + 1 };
  return { everyMs: Math.max(PULSE_LEAST_MS, Math.min(most, p.everyMs * 1.25)), answers: 0 };
}

/** The line died without a word. */
export function died(p: Pulse): Pulse {
  return { everyMs: Math.max(PULSE_LEAST_MS, p.everyMs / 2), answers: 0 };
}
