/** Chance for tests that try many things: the same seed gives the same numbers, so that a failure can be run again. */

/** Returns a source of numbers in [0, 1) (mulberry32). */
export function chance(seed: number): () => number {
  let s = seed >>> 0;
  return () => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), s | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Returns one of a list. */
export function pick<T>(random: () => number, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

/** Values that no one should send, for every place where a value comes from outside. */
export const HOSTILE: readonly unknown[] = [
  undefined, null, true, 0, -1, NaN, Infinity, 1e400, 2 ** 60, "", " ", "\u0000", "<img src=x onerror=alert(1)>", "\u202Egnp.exe", "\uD800",
  "x".repeat(100_000), [], [null], {}, { length: 3 }, JSON.parse('{"__proto__":{"status":"COOKING"},"constructor":1}'), "constructor", "__proto__",
];

const NAMES = [
  "type", "productionId", "data", "alert", "id", "status", "newStatus", "progress", "version", "deleted", "message", "severity", "channel",
  "epoch", "offset", "time", "offsets", "messages", "heartbeat", "gap", "subscribed", "history", "error", "goaway", "reconnectInMs", "en", "code",
];
const WORDS = ["production_update", "production_created", "production_alert", "p1", "p2", "COOKING", "RESOLVED", "HIGH", "e1", "production:updates:S"];

/** Returns a value that looks a little like what the server and the app send. */
export function mess(random: () => number, depth = 4): unknown {
  const r = random();
  if (depth === 0 || r < 0.25) return pick(random, HOSTILE);
  if (r < 0.5) return pick(random, WORDS);
  if (r < 0.6) return Math.floor(random() * 100);
  if (r < 0.65) return [mess(random, depth - 1), mess(random, depth - 1)];
  const o: Record<string, unknown> = {};
  for (let i = 0; i < 6; i++) o[pick(random, NAMES)] = mess(random, depth - 1);
  return o;
}
