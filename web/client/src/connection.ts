/**
 * The state machine of the line to the server. It is pure: time and chance come in with the events, and what is to be done comes
 * out as a list of acts. line.ts does them.
 *
 *     idle ──► opening ──► open ──► waiting ──► opening …
 *                 │          ├────► ended            the server said: do not come back
 *                 └──► asking ◄┘                     why was it refused? is the session over?
 *                        ├──► waiting                it was the line, or WebSockets do not get through: SSE next
 *                        └──► denied                 no session, or none that may look here
 */

import { answered, died, PULSE, PULSE_HIDDEN_MS, type Pulse } from "./pulse.ts";

export type Phase = "idle" | "opening" | "open" | "asking" | "waiting" | "denied" | "ended";
export type Transport = "websocket" | "sse";

/** Why there is nothing to see: 401 or 403 with the server's code. */
export interface Denial {
  readonly status: number;
  readonly code: string;
}

/** All times are ms since 1970 by this device's clock. */
export interface Connection {
  readonly phase: Phase;
  readonly since: number; // when the phase began
  readonly attempt: number; // connections that failed since the last one that worked
  readonly transport: Transport;
  readonly refusals: number; // WebSocket handshakes in a row that failed though HTTP got through
  readonly blockedAt?: number | undefined; // when SSE was chosen
  readonly watched: boolean; // somebody looks
  readonly synced: boolean; // all channels are followed and what was missed has come
  readonly heardAt?: number | undefined; // last sign of life on this connection
  readonly probedAt?: number | undefined; // when we asked for one; undefined: we are not waiting for one
  readonly quiet: boolean; // and no answer came in the usual time
  readonly freshAt?: number | undefined; // when what is shown was last known to be the newest
  readonly staleSince?: number | undefined; // the server said: nothing new can come, since then
  readonly staleReason?: string | undefined;
  readonly heartbeatMs: number; // how often the server speaks by itself
  readonly pulse: Pulse;
  readonly retryAt?: number | undefined;
  readonly notBefore: number; // no attempt before this: the server has given us a slot
  readonly returnAt?: number | undefined; // when the server wants us to leave this connection and come back
  readonly extendAt?: number | undefined; // when to renew the session
  readonly denial?: Denial | undefined;
  readonly end?: { readonly code: number; readonly reason?: string } | undefined;
}

export type LineEvent =
  | { readonly kind: "start" } // also: again, whatever has happened
  | { readonly kind: "stop" }
  | { readonly kind: "opened"; readonly heartbeatMs: number; readonly expiresInMs: number | undefined }
  | { readonly kind: "heard" }
  | { readonly kind: "synced"; readonly on: boolean }
  | { readonly kind: "stale"; readonly since: number; readonly reason: string }
  | { readonly kind: "fresh" }
  | { readonly kind: "goaway"; readonly reconnectInMs: number }
  | { readonly kind: "closed"; readonly code: number; readonly reason: string }
  | { readonly kind: "admitted" }
  | { readonly kind: "denied"; readonly denial: Denial }
  | { readonly kind: "unreachable"; readonly retryAfterMs: number }
  | { readonly kind: "extended"; readonly expiresInMs: number | undefined }
  | { readonly kind: "tick" }
  | { readonly kind: "watched"; readonly on: boolean }
  | { readonly kind: "wake" } // the device came back: from sleep, from the background, into the net
  | { readonly kind: "jumped" }; // its clock was set back

/** What is to be done: open a line, ask the server who we are, drop what is at hand, ask for a sign of life, renew the session. */
export type Act = "open" | "ask" | "drop" | "probe" | "extend";

/** Without an answer for so long the line is quiet: most answers come in a tenth of that. */
export const QUIET_AFTER_MS = 2_000;
/** Without an answer for this long the line is dead. */
export const PROBE_WAIT_MS = 8_000;
/** A slow handshake over 3G with TLS takes 3 s; one that takes longer than this will not come. */
export const OPEN_WAIT_MS = 10_000;
/** The first retry comes within half a second, so that a short break is hardly seen. */
export const BACKOFF_FIRST_MS = 500;
export const BACKOFF_MOST_MS = 20_000;
/** With SSE, WebSocket is tried again after this: the tablet may be in another network. */
export const WEBSOCKET_AGAIN_MS = 300_000;
/** Data older than this is old, unless the options say otherwise. */
export const STALE_AFTER_MS = 15_000;
/** What an answer may take on a slow line before data is shown as old. */
const ANSWER_MS = 5_000;
/** A session is renewed so long before its end. */
export const EXTEND_BEFORE_MS = 60_000;
/** And not more often than this, should renewing not make it longer. */
const EXTEND_PAUSE_MS = 5_000;
const SESSION_EXPIRED = 4002;

export const IDLE: Connection = {
  phase: "idle",
  since: 0,
  attempt: 0,
  transport: "websocket",
  refusals: 0,
  watched: true,
  synced: false,
  quiet: false,
  heartbeatMs: 25_000,
  pulse: PULSE,
  notBefore: 0,
};

/** Reports whether a close code means: come back. docs/protocol.md has the table; a test compares. */
export function comesBack(code: number): boolean {
  if (code >= 4000) return code < 4500;
  // Nobody but a client closes with 1000, so it was something in between. A screen that then stays dark helps nobody.
  return code < 1002 || code === 1005 || code === 1006 || code >= 1010;
}

type Next = readonly [Connection, readonly Act[]];

/** Returns the connection after an event, and what is to be done. chance is a random number in [0, 1). */
export function step(c: Connection, e: LineEvent, now: number, chance: number, staleAfterMs = STALE_AFTER_MS): Next {
  switch (e.kind) {
    case "start":
      return [enter({ ...c, attempt: 0, notBefore: 0, returnAt: undefined, denial: undefined, end: undefined }, "opening", now), ["drop", "open"]];
    case "stop":
      return [{ ...enter(c, "idle", now), returnAt: undefined }, ["drop"]];
    case "opened": {
      if (c.phase !== "opening") return [c, []];
      const open = enter({ ...c, staleSince: undefined, staleReason: undefined }, "open", now);
      const refusals = c.transport === "websocket" ? 0 : c.refusals;
      return [{ ...open, refusals, heardAt: now, heartbeatMs: e.heartbeatMs, extendAt: renewal(e.expiresInMs, now) }, []];
    }
    case "heard":
      return c.phase === "open" ? [heard(c, now, staleAfterMs), []] : [c, []];
    case "synced":
      return c.phase === "open" ? [heard({ ...c, synced: e.on }, now, staleAfterMs), []] : [c, []];
    case "stale":
      return [{ ...c, staleSince: e.since, staleReason: e.reason }, []];
    case "fresh":
      return [heard({ ...c, staleSince: undefined, staleReason: undefined }, now, staleAfterMs), []];
    case "goaway":
      return c.phase === "open" ? [{ ...c, returnAt: now + e.reconnectInMs }, []] : [c, []];
    case "closed":
      return closed(c, e.code, e.reason, now, chance);
    case "admitted":
      return c.phase === "asking" ? [wait(refused(c, now), now, chance), []] : [c, []];
    case "denied":
      return c.phase === "asking" || c.phase === "opening" ? [{ ...enter(c, "denied", now), denial: e.denial }, ["drop"]] : [c, []];
    case "unreachable":
      return c.phase === "asking" || c.phase === "opening" ? [wait(c, now, chance, e.retryAfterMs), ["drop"]] : [c, []];
    case "extended":
      return [{ ...c, extendAt: renewal(e.expiresInMs, now) }, []];
    case "tick":
      return tick(c, now, chance);
    case "watched":
      return [{ ...c, watched: e.on }, []];
    case "wake":
      return wake(c, now, chance);
    case "jumped": // ages are not known any more: nothing counts as fresh until there is a word from the server
      return wake({ ...c, since: now, heardAt: now, probedAt: undefined, quiet: false, freshAt: undefined, retryAt: now, notBefore: 0 }, now, chance);
  }
}

/** Returns when the next tick is due, or undefined if nothing waits for one. */
export function deadline(c: Connection): number | undefined {
  switch (c.phase) {
    case "opening":
    case "asking":
      return c.since + OPEN_WAIT_MS;
    case "waiting":
      return c.retryAt;
    case "open": {
      const life = c.probedAt === undefined ? probeAt(c) : c.probedAt + (c.quiet ? PROBE_WAIT_MS : QUIET_AFTER_MS);
      return Math.min(life, c.returnAt ?? life, c.extendAt ?? life);
    }
    case "idle":
    case "denied":
    case "ended":
      return undefined;
  }
}

/** When a sign of life is asked for. An event stream cannot be asked: there its heartbeats are waited for. */
function probeAt(c: Connection): number {
  const heard = c.heardAt ?? c.since;
  if (c.transport === "sse") return heard + c.heartbeatMs + PROBE_WAIT_MS / 2;
  return heard + (c.watched ? c.pulse.everyMs : PULSE_HIDDEN_MS);
}

/**
 * How the line is, from good to bad. `live`: all that was published is here. `quiet`: nothing came for a while, and the server was
 * asked. `behind`: what was missed is on its way. `stale`: the server lives, but is cut off from what the app publishes.
 * `dead`: there is no line.
 */
export type Health = "live" | "quiet" | "behind" | "stale" | "dead";

export function health(c: Connection): Health {
  if (c.phase !== "open") return "dead";
  if (c.staleSince !== undefined) return "stale";
  if (c.quiet) return "quiet";
  return c.synced ? "live" : "behind";
}

/** Returns until when what is shown may count as the present; undefined: it does not. */
export function freshUntil(c: Connection, staleAfterMs: number): number | undefined {
  if (c.freshAt === undefined || c.staleSince !== undefined) return undefined;
  // An event stream speaks at its own pace: one heartbeat may be late.
  return c.freshAt + (c.transport === "sse" ? Math.max(staleAfterMs, c.heartbeatMs + ANSWER_MS) : staleAfterMs);
}

function enter(c: Connection, phase: Phase, now: number): Connection {
  return { ...c, phase, since: now, synced: false, heardAt: undefined, probedAt: undefined, quiet: false, retryAt: undefined, extendAt: undefined };
}

/** Only a connection that brought everything counts as one that worked: one that is closed at once is not retried at once for ever. */
function heard(c: Connection, now: number, staleAfterMs: number): Connection {
  const most = Math.max(0, staleAfterMs - ANSWER_MS);
  const pulse = c.probedAt === undefined ? c.pulse : answered(c.pulse, most);
  const alive = { ...c, heardAt: now, probedAt: undefined, quiet: false, pulse };
  if (!c.synced || c.phase !== "open") return alive;
  return { ...alive, attempt: 0, freshAt: c.staleSince === undefined ? now : c.freshAt };
}

function closed(c: Connection, code: number, reason: string, now: number, chance: number): Next {
  if (c.phase !== "open" && c.phase !== "opening") return [c, []];
  if (!comesBack(code)) return [{ ...enter(c, "ended", now), returnAt: undefined, end: { code, reason } }, []];
  // A handshake that is refused looks like a broken line to a page: what it was is found out by asking.
  if (c.phase === "opening" || code === SESSION_EXPIRED) return [enter(c, "asking", now), ["ask"]];
  return [wait(c, now, chance), []];
}

/** HTTP gets through, so it was the WebSocket: once more without channels in its address, of which one may be refused; then SSE. */
function refused(c: Connection, now: number): Connection {
  if (c.transport === "sse") return c;
  const refusals = c.refusals + 1;
  return refusals < 2 ? { ...c, refusals } : { ...c, refusals, transport: "sse", blockedAt: now };
}

/** Full jitter: all screens of a kitchen lose their line at once, and must not come back at once. */
function wait(c: Connection, now: number, chance: number, leastMs = 0): Connection {
  const most = Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** Math.min(c.attempt, 10));
  const notBefore = Math.max(c.notBefore, c.returnAt ?? 0, now + leastMs);
  return { ...enter(c, "waiting", now), attempt: c.attempt + 1, retryAt: Math.max(now + leastMs + chance * most, notBefore), notBefore, returnAt: undefined };
}

function tick(c: Connection, now: number, chance: number): Next {
  if (now < (deadline(c) ?? Infinity)) return [c, []];
  switch (c.phase) {
    case "opening": // it hangs: if HTTP does not, WebSockets are swallowed
      return [enter({ ...c, refusals: c.refusals + 1 }, "asking", now), ["drop", "ask"]];
    case "asking":
      return [wait(c, now, chance), ["drop"]];
    case "waiting":
      return again(c, now);
    case "open":
      return tickOpen(c, now, chance);
    default:
      return [c, []];
  }
}

function tickOpen(c: Connection, now: number, chance: number): Next {
  if (c.returnAt !== undefined && now >= c.returnAt) {
    const [next, acts] = again({ ...c, returnAt: undefined }, now);
    return [next, ["drop", ...acts]];
  }
  if (c.extendAt !== undefined && now >= c.extendAt) return [{ ...c, extendAt: undefined }, ["extend"]];
  const dead = c.probedAt === undefined ? c.transport === "sse" : now >= c.probedAt + PROBE_WAIT_MS;
  if (dead) return [wait({ ...c, pulse: died(c.pulse) }, now, chance), ["drop"]];
  return c.probedAt === undefined ? [{ ...c, probedAt: now }, ["probe"]] : [{ ...c, quiet: true }, []];
}

function again(c: Connection, now: number): Next {
  const rested = c.transport === "sse" && now - (c.blockedAt ?? now) >= WEBSOCKET_AGAIN_MS;
  const next: Connection = rested ? { ...c, transport: "websocket", refusals: 0, blockedAt: undefined } : c;
  return [enter(next, "opening", now), ["open"]];
}

function wake(c: Connection, now: number, chance: number): Next {
  switch (c.phase) {
    case "waiting": // sooner, but not at once: what wakes us may flap, and may wake all screens of a kitchen
      return [{ ...c, retryAt: Math.max(c.notBefore, Math.min(c.retryAt ?? now, now + chance * BACKOFF_FIRST_MS)) }, []];
    case "denied":
      return again({ ...c, denial: undefined }, now);
    case "open": // it may have died in our sleep without a word
      if (c.probedAt !== undefined) return [c, []];
      if (c.transport === "sse") return now - (c.heardAt ?? now) < ANSWER_MS ? [c, []] : [wait(c, now, chance), ["drop"]];
      return [{ ...c, probedAt: now }, ["probe"]];
    default:
      return [c, []];
  }
}

/** When to renew a session that has so long to live: a minute before its end, or at four fifths of a short life. */
function renewal(expiresInMs: number | undefined, now: number): number | undefined {
  if (expiresInMs === undefined) return undefined;
  return now + Math.max(expiresInMs - EXTEND_BEFORE_MS, expiresInMs * 0.8, EXTEND_PAUSE_MS);
}
