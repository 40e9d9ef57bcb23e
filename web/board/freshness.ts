/**
 * Whether what is shown is the present. It is decided in one place, out of the client's status, so that no part of a screen can show
 * old data as new.
 *
 *     connecting ──► connected ◄──► quiet        no word for a while, but not old yet
 *          ▲             │
 *          └── disconnected / behind             what is shown is old: since when is said
 */

import type { Status } from "../client/src/client.ts";

export type Lamp = "connected" | "connecting" | "quiet" | "disconnected" | "stale" | "signed-out" | "ended";

export interface Freshness {
  readonly lamp: Lamp;
  /** What is shown may be old: it is greyed, and the banner says since when. */
  readonly old: boolean;
  /** When it was known to be the newest, ms since 1970 by the server's clock; undefined: never. */
  readonly since: number | undefined;
}

/**
 * Returns how fresh the screen is. loadedAt is when the state was last known to be whole (a snapshot, or what was kept on the device),
 * by the server's clock; skewMs is how far the server's clock is ahead of this device's. unreached: the page has asked the server who it
 * is, in vain, and follows nothing yet.
 */
export function freshness(s: Status, ready: boolean, loadedAt: number | undefined, skewMs: number, unreached = false): Freshness {
  const told = s.freshAt === undefined ? undefined : s.freshAt + skewMs;
  const since = told === undefined ? loadedAt : loadedAt === undefined ? told : Math.max(told, loadedAt);
  const old = !s.fresh || !ready;
  return { lamp: lampOf(s, ready, unreached), old, since };
}

function lampOf(s: Status, ready: boolean, unreached: boolean): Lamp {
  if (s.phase === "ended") return "ended";
  if (s.phase === "denied") return s.denial?.status === 401 ? "signed-out" : "disconnected";
  if (s.health === "stale") return "stale";
  if (s.fresh && ready) return s.health === "quiet" ? "quiet" : s.health === "dead" ? "connecting" : "connected";
  // The first attempts are no break; a device that has been told nothing for long is cut off, whatever it tries.
  if (s.freshAt === undefined && !unreached && (s.phase === "idle" || s.phase === "opening" || s.phase === "open")) return "connecting";
  return s.phase === "open" ? "connecting" : "disconnected";
}

/**
 * Returns how old what is shown is, in ms; 0: it is the present, of which the client tells no newer moment as long as nothing changes.
 * undefined: nothing is shown yet.
 */
export function ageOf(f: Freshness, now: number): number | undefined {
  if (f.since === undefined) return undefined;
  return f.old ? Math.max(0, now - f.since) : 0;
}
