/**
 * The state machine of the line to the server. It is pure: time and chance come in with the events, and what is to be done
 * comes out as a list of acts. line.ts does them.
 *
 *     asking ──► opening ──► open ──► waiting ──► opening or asking …
 *       │                      └────► ended      (the server said: do not come back)
 *       └──► denied                              (no session, or none that may look here)
 */

export type Phase = "asking" | "denied" | "opening" | "open" | "waiting" | "ended";

/** Why nothing can be shown: not signed in, signed in without a kitchen, not by this address or browser, or free to choose one. */
export type Denial = "signed-out" | "forbidden" | "refused" | "choose";

export interface Connection {
  readonly phase: Phase;
  readonly since: number; // when the phase began; all times are ms since 1970 by this device's clock
  readonly attempt: number; // connections that failed since the last one that worked
  readonly admitted: boolean; // the server has told who we are, and nothing has put that in doubt
  readonly synced: boolean; // all channels are followed and what was missed has come
  readonly heardAt: number | undefined; // last sign of life on this connection
  readonly probedAt: number | undefined; // when we asked for one; undefined: we are not waiting for one
  readonly freshAt: number | undefined; // when what is shown was last known to be the newest
  readonly retryAt: number | undefined;
  readonly returnAt: number | undefined; // when the server wants us to leave this connection and come back
  readonly denial: Denial | undefined;
  readonly end: { readonly code: number; readonly reason: string } | undefined;
}

export type LineEvent =
  | { readonly kind: "start" }
  | { readonly kind: "admitted" }
  | { readonly kind: "denied"; readonly denial: Denial }
  | { readonly kind: "unreachable" }
  | { readonly kind: "opened" }
  | { readonly kind: "heard" }
  | { readonly kind: "synced"; readonly on: boolean }
  | { readonly kind: "goaway"; readonly reconnectInMs: number }
  | { readonly kind: "lost" } // messages are missing: resume on a new connection
  | { readonly kind: "closed"; readonly code: number; readonly reason: string }
  | { readonly kind: "tick" }
  | { readonly kind: "wake" }; // the device came back: from sleep, from the background, into the net

/** What is to be done: ask who we are, open a socket, drop the request or socket at hand, ask for a sign of life. */
export type Act = "ask" | "open" | "drop" | "probe";

/** After this silence a sign of life is asked for. */
export const PROBE_AFTER_MS = 7_000;
/** Without an answer to that the line is dead. With the silence before it makes the 15 s after which data is old. */
export const PROBE_WAIT_MS = 8_000;
/** Data older than this is shown as old. */
export const STALE_AFTER_MS = PROBE_AFTER_MS + PROBE_WAIT_MS;
/** A slow handshake over 3G with TLS takes 3 s; one that takes longer than this will not come. */
export const OPEN_WAIT_MS = 10_000;
/** The first retry comes within half a second, so that a short break is hardly seen. */
export const BACKOFF_FIRST_MS = 500;
export const BACKOFF_MOST_MS = 20_000;
/** The server's close codes from here to 4999 say: do not come back. */
const FINAL_FROM = 4500;
const SESSION_EXPIRED = 4002;

export const START: Connection = {
  phase: "asking",
  since: 0,
  attempt: 0,
  admitted: false,
  synced: false,
  heardAt: undefined,
  probedAt: undefined,
  freshAt: undefined,
  retryAt: undefined,
  returnAt: undefined,
  denial: undefined,
  end: undefined,
};

/** Returns the connection after an event, and what is to be done. chance is a random number in [0, 1). */
export function step(c: Connection, e: LineEvent, now: number, chance: number): readonly [Connection, readonly Act[]] {
  switch (e.kind) {
    case "start":
      return [enter({ ...c, admitted: false, attempt: 0, end: undefined, denial: undefined }, "asking", now), ["drop", "ask"]];
    case "admitted":
      return c.phase === "asking" ? [enter({ ...c, admitted: true }, "opening", now), ["open"]] : [c, []];
    case "denied":
      return c.phase === "asking" ? [{ ...enter(c, "denied", now), denial: e.denial }, []] : [c, []];
    case "unreachable":
      return c.phase === "asking" ? [wait(c, now, chance), []] : [c, []];
    case "opened":
      return c.phase === "opening" ? [{ ...enter(c, "open", now), heardAt: now }, []] : [c, []];
    case "heard":
      return c.phase === "open" ? [heard(c, now), []] : [c, []];
    case "synced":
      return c.phase === "open" ? [heard({ ...c, synced: e.on }, now), []] : [c, []];
    case "goaway":
      return [{ ...c, returnAt: now + e.reconnectInMs }, []];
    case "lost":
      return c.phase === "open" ? [wait(c, now, chance), ["drop"]] : [c, []];
    case "closed":
      return [closed(c, e.code, e.reason, now, chance), []];
    case "tick":
      return tick(c, now, chance);
    case "wake":
      return wake(c, now);
  }
}

/** Returns when the next tick is due, or undefined if nothing waits for one. */
export function deadline(c: Connection): number | undefined {
  switch (c.phase) {
    case "asking":
    case "opening":
      return c.since + OPEN_WAIT_MS;
    case "waiting":
      return c.retryAt;
    case "open": {
      const life = c.probedAt === undefined ? (c.heardAt ?? c.since) + PROBE_AFTER_MS : c.probedAt + PROBE_WAIT_MS;
      return Math.min(life, c.returnAt ?? life);
    }
    case "denied":
    case "ended":
      return undefined;
  }
}

export type Lamp = "connected" | "connecting" | "disconnected";

/** A wait that is longer than this is no connecting. */
const SOON_MS = 2_000;

/** Returns what the lamp shows. A first quick retry still counts as connecting; after that the line is down. */
export function lamp(c: Connection, now: number): Lamp {
  if (c.phase === "open") return now - (c.heardAt ?? c.since) < STALE_AFTER_MS ? "connected" : "disconnected";
  const soon = (c.retryAt ?? now) - now <= SOON_MS;
  return c.phase === "ended" || c.attempt > 1 || !soon ? "disconnected" : "connecting";
}

/** Reports whether what is shown may count as the present. */
export function fresh(c: Connection, now: number): boolean {
  return c.freshAt !== undefined && now - c.freshAt < STALE_AFTER_MS;
}

function enter(c: Connection, phase: Phase, now: number): Connection {
  return { ...c, phase, since: now, synced: false, heardAt: undefined, probedAt: undefined, retryAt: undefined };
}

/** Only a connection that brought everything counts as one that worked: one that is closed at once is not retried at once for ever. */
function heard(c: Connection, now: number): Connection {
  const alive = { ...c, heardAt: now, probedAt: undefined };
  return c.synced ? { ...alive, attempt: 0, freshAt: now } : alive;
}

function closed(c: Connection, code: number, reason: string, now: number, chance: number): Connection {
  if (c.phase !== "open" && c.phase !== "opening") return c;
  if (code >= FINAL_FROM) return { ...enter(c, "ended", now), admitted: false, returnAt: undefined, end: { code, reason } };
  // A handshake that is refused looks like a broken line to a page: whether it was the session is found out by asking.
  const doubted = c.phase === "opening" || code === SESSION_EXPIRED;
  return wait({ ...c, admitted: c.admitted && !doubted }, now, chance);
}

/** Full jitter: all screens of a kitchen lose their line at once, and must not come back at once. */
function wait(c: Connection, now: number, chance: number): Connection {
  const most = Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** Math.min(c.attempt, 10));
  const slot = c.returnAt ?? 0;
  return { ...enter(c, "waiting", now), attempt: c.attempt + 1, retryAt: Math.max(now + chance * most, slot), returnAt: undefined };
}

function tick(c: Connection, now: number, chance: number): readonly [Connection, readonly Act[]] {
  switch (c.phase) {
    case "asking":
    case "opening":
      return now - c.since < OPEN_WAIT_MS ? [c, []] : [wait({ ...c, admitted: false }, now, chance), ["drop"]];
    case "waiting":
      return now < (c.retryAt ?? now) ? [c, []] : again(c, now);
    case "open":
      if (c.returnAt !== undefined && now >= c.returnAt) {
        const [next, acts] = again({ ...c, returnAt: undefined }, now);
        return [next, ["drop", ...acts]];
      }
      if (c.probedAt === undefined) {
        return now - (c.heardAt ?? c.since) < PROBE_AFTER_MS ? [c, []] : [{ ...c, probedAt: now }, ["probe"]];
      }
      return now - c.probedAt < PROBE_WAIT_MS ? [c, []] : [wait(c, now, chance), ["drop"]];
    case "denied":
    case "ended":
      return [c, []];
  }
}

function again(c: Connection, now: number): readonly [Connection, readonly Act[]] {
  return c.admitted ? [enter(c, "opening", now), ["open"]] : [enter(c, "asking", now), ["ask"]];
}

function wake(c: Connection, now: number): readonly [Connection, readonly Act[]] {
  switch (c.phase) {
    case "waiting":
    case "denied":
      return again({ ...c, denial: undefined }, now);
    case "open": // the socket may have died in our sleep without a word
      return c.probedAt === undefined ? [{ ...c, probedAt: now }, ["probe"]] : [c, []];
    case "asking":
    case "opening":
    case "ended":
      return [c, []];
  }
}
