/** Random numbers that come again with the same seed, for properties. */

export type Chance = () => number;

/** Returns a generator of numbers in [0, 1) (mulberry32). */
export function chance(seed: number): Chance {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function below(random: Chance, n: number): number {
  return Math.floor(random() * n);
}

export function pick<T>(random: Chance, all: readonly T[]): T {
  return all[below(random, all.length)] as T;
}

/** Returns any JSON value, often one that looks like part of a frame. */
export function mess(random: Chance, depth = 3): unknown {
  const words = ["message", "channel", "epoch", "offset", "time", "gap", "heartbeat", "offsets", "subscribed", "id", "__proto__", "constructor", "data", ""];
  switch (below(random, depth > 0 ? 8 : 5)) {
    case 0:
      return pick(random, words);
    case 1:
      return below(random, 100) - 10;
    case 2:
      return random() * 2 ** 60;
    case 3:
      return pick(random, [true, false, null]);
    case 4:
      return "";
    case 5:
      return Array.from({ length: below(random, 4) }, () => mess(random, depth - 1));
    default:
      return Object.fromEntries(Array.from({ length: below(random, 5) }, () => [pick(random, words), mess(random, depth - 1)]));
  }
}
