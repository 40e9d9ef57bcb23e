/** Everything that the page shows, and how it changes: apply(state, event) is the new state, and nothing else happens. */

import { addGap, addMessage, EMPTY_LOG, filter, pause, type Log } from "./log.ts";
import { applyAlert, type Alerts } from "./alert.ts";
import { applyProduction, doubt, type Productions } from "./production.ts";
import { counted, missing, standing, unseen, type Channel, type Channels } from "./channel.ts";
import { START, type Connection } from "./connection.ts";
import type { Frame, Message, Position } from "./frame.ts";
import type { Language } from "./words.ts";

/** Whose kitchen is shown, and to whom. */
export interface Kitchen {
  readonly tenant: string;
  readonly name: string | undefined;
  readonly channels: readonly string[];
}

export interface State {
  readonly language: Language;
  readonly connection: Connection;
  readonly kitchen: Kitchen | undefined;
  readonly channels: Channels;
  readonly productions: Productions;
  readonly alerts: Alerts;
  readonly log: Log;
  readonly newestAt: number | undefined; // time of the newest message, by the server's clock
  /** Since when the server knows nothing new, by its clock, as it says on this connection; undefined: it is up to date. */
  readonly staleSince: number | undefined;
  /** What must be added to this device's clock to have the server's, in ms. */
  readonly skewMs: number;
}

export type Event =
  | { readonly kind: "connection"; readonly connection: Connection }
  | { readonly kind: "kitchen"; readonly kitchen: Kitchen | undefined }
  | { readonly kind: "frame"; readonly frame: Frame; readonly now: number }
  | { readonly kind: "refused"; readonly channel: string; readonly problem: Channel["problem"] }
  | { readonly kind: "caught-up"; readonly channel: string } // no history is to be had: what is live is all there is
  | { readonly kind: "pause"; readonly on: boolean }
  | { readonly kind: "filter"; readonly channel: string | undefined }
  | { readonly kind: "language"; readonly language: Language };

/** Returns the state of a page that was just opened. */
export function empty(language: Language): State {
  return {
    language,
    connection: START,
    kitchen: undefined,
    channels: new Map(),
    productions: new Map(),
    alerts: new Map(),
    log: EMPTY_LOG,
    newestAt: undefined,
    staleSince: undefined,
    skewMs: 0,
  };
}

/** Returns the state after an event. */
export function apply(state: State, event: Event): State {
  switch (event.kind) {
    case "connection":
      // What the server said holds for the connection on which it said it; the next one is told anew.
      return { ...state, connection: event.connection, staleSince: event.connection.phase === "open" ? state.staleSince : undefined };
    case "kitchen":
      return enterKitchen(state, event.kitchen);
    case "frame":
      return applyFrame(state, event.frame, event.now);
    case "refused":
      return withChannel(state, event.channel, (c) => ({ ...c, problem: event.problem }));
    case "caught-up":
      return withChannel(state, event.channel, (c) => ({ ...c, seen: c.head }));
    case "pause":
      return { ...state, log: pause(state.log, event.on) };
    case "filter":
      return { ...state, log: filter(state.log, event.channel) };
    case "language":
      return { ...state, language: event.language };
  }
}

/** Another kitchen, or none, starts from nothing: no line of one kitchen is ever seen in another one's page. */
function enterKitchen(state: State, kitchen: Kitchen | undefined): State {
  if (kitchen === undefined || kitchen.tenant !== state.kitchen?.tenant) {
    const clean = empty(state.language);
    const channels = new Map((kitchen?.channels ?? []).map((name) => [name, unseen(name)]));
    return { ...clean, connection: { ...state.connection, freshAt: undefined }, kitchen, channels };
  }
  const channels = new Map(kitchen.channels.map((name) => [name, state.channels.get(name) ?? unseen(name)]));
  return { ...state, kitchen, channels };
}

function applyFrame(state: State, frame: Frame, now: number): State {
  switch (frame.kind) {
    case "message":
      return applyPush(state, frame.message, now);
    case "history":
      return applyHistory(state, frame.channel, frame.messages);
    case "subscribed":
      return applySubscribed(state, frame.channel, frame.position, frame.cause, now);
    case "gap":
      return applyGap(state, frame.channel, frame.cause, frame.position, now);
    case "heartbeat":
      return frame.time === undefined ? state : { ...state, skewMs: frame.time - now };
    case "stale":
      return { ...state, staleSince: frame.since };
    case "fresh":
      return { ...state, staleSince: undefined, skewMs: frame.time === undefined ? state.skewMs : frame.time - now };
    case "unsubscribed":
      return withChannel(state, frame.channel, (c) => ({ ...c, problem: { code: frame.code, message: "", temporary: false } }));
    case "goaway":
    case "error":
    case "other":
      return state;
  }
}

function applyPush(state: State, m: Message, now: number): State {
  const channel = state.channels.get(m.channel);
  if (channel === undefined) return state; // not ours
  const how = standing(channel, m.position);
  if (how === "seen") return state;
  const whole = how === "next" ? state : applyGap(state, m.channel, "hole", m.position, now);
  const next = withChannel(whole, m.channel, (c) => ({ ...counted(c, m), seen: m.position, head: m.position }));
  return take(next, m);
}

function applyHistory(state: State, name: string, messages: readonly Message[]): State {
  let next = state;
  for (const m of messages) {
    const channel = next.channels.get(name);
    if (channel === undefined || !missing(channel, m.position)) continue;
    next = take(withChannel(next, name, (c) => ({ ...counted(c, m), seen: m.position })), m);
  }
  return withChannel(next, name, (c) => ({ ...c, seen: c.head }));
}

function applySubscribed(state: State, name: string, position: Position, cause: string | undefined, now: number): State {
  const clean = withChannel(state, name, (c) => ({ ...c, problem: undefined }));
  if (cause !== undefined) return applyGap(clean, name, cause, position, now);
  // With a position that was continued from, messages follow from there; without one, they follow from the head.
  return withChannel(clean, name, (c) => (c.seen === undefined ? { ...c, head: position } : { ...c, head: c.seen }));
}

function applyGap(state: State, name: string, cause: string, position: Position, now: number): State {
  if (!state.channels.has(name)) return state;
  const next = withChannel(state, name, (c) => ({ ...c, head: position }));
  return { ...next, productions: doubt(next.productions), log: addGap(next.log, name, cause, now + next.skewMs) };
}

/** Takes a message into all that is shown of it. */
function take(state: State, m: Message): State {
  return {
    ...state,
    productions: applyProduction(state.productions, m.data, m.time),
    alerts: applyAlert(state.alerts, m.data, m.time),
    log: addMessage(state.log, m),
    newestAt: Math.max(state.newestAt ?? 0, m.time),
  };
}

function withChannel(state: State, name: string, change: (c: Channel) => Channel): State {
  const old = state.channels.get(name);
  return old === undefined ? state : { ...state, channels: new Map(state.channels).set(name, change(old)) };
}
