/** The client: subscriptions of one page, fed by a line of its own or by the one that all tabs share. */

import { freshUntil, health, STALE_AFTER_MS, type Connection, type Denial, type Health, type Phase, type Transport } from "./connection.ts";
import { Alone, type Feed, type Role, type Share } from "./feed.ts";
import { Follow, type FollowOptions, type Listener } from "./follow.ts";
import type { Frame, Page, Position } from "./frame.ts";
import { Api, type ApiOptions, type Info, type Member } from "./http.ts";
import type { LineOptions, SocketConstructor } from "./line.ts";


export interface ClientOptions extends ApiOptions {
  /** The WebSocket to use where there is no global one (Node 20: the one of `ws`), or `null` for SSE only. */
  readonly WebSocket?: SocketConstructor | null | undefined;
  /** How tabs of one browser share one connection: `tabs()` of `kentongan/tabs`. Without it each has its own. */
  readonly share?: Share | undefined;
  /** Renews the session, for example by fetching /api/auth/session. It is called before the session ends, and after a 401. */
  readonly renew?: (() => Promise<unknown>) | undefined;
  /** After how long without a word of the server data is shown as old: 15,000 ms unless set. */
  readonly staleAfterMs?: number | undefined;
  /** For platform roles: the kitchen whose channels are meant. */
  readonly tenant?: string | undefined;
  /** Is told what listeners throw; by default it is reported as an uncaught error. */
  readonly onError?: ((e: unknown) => void) | undefined;
}

/** How it stands. A new object each time, and the same one as long as nothing changes. */
export interface Status {
  readonly health: Health;
  /** What is shown is known to be the newest, or was a moment ago. */
  readonly fresh: boolean;
  /** When it was known last, ms since 1970 by this device's clock. While `fresh`, it is a past moment of that. */
  readonly freshAt?: number | undefined;
  readonly phase: Phase;
  readonly transport: Transport;
  readonly role: Role;
  /** Since when, by the server's clock, the server itself hears nothing new, and why. */
  readonly staleSince?: number | undefined;
  readonly staleReason?: string | undefined;
  /** When the next attempt is made. */
  readonly retryAt?: number | undefined;
  readonly denial?: Denial | undefined;
  readonly end?: { readonly code: number; readonly reason?: string } | undefined;
}

/** Before anything has happened, and where nothing can: on a server that renders pages. */
export const INITIAL_STATUS: Status = {
  health: "dead",
  fresh: false,
  phase: "idle",
  transport: "websocket",
  role: "alone",
};

export interface Subscription {
  /** Where it is: to go on from here later. */
  position(): Position | undefined;
  unsubscribe(): void;
}

export interface Client {
  /** Follows a channel. The connection is made with the first subscription, and given up a second after the last. */
  subscribe<T = unknown>(channel: string, listener: Listener<T>, options?: FollowOptions): Subscription;
  /** Returns how it stands; the same object as long as nothing changes. */
  status(): Status;
  /** Calls f whenever the status changes. Returns how to end that. */
  onStatus(f: (status: Status) => void): () => void;
  /** Who we are to the server, and which channels there are. */
  info(): Promise<Info>;
  history(channel: string, since?: Position, limit?: number): Promise<Page>;
  presence(channel: string): Promise<readonly Member[]>;
  /** The server's clock, ms since 1970: for countdowns, whatever the device's own clock says. */
  now(): number;
  /** Tries again at once, for example behind a button. */
  retry(): void;
  /** Ends everything. */
  close(): void;
}

/** Whoever unsubscribes and subscribes in the same breath, as frameworks do, keeps the connection. */
const LINGER_MS = 1_000;

/** Returns a client. It does nothing before the first subscription, and so may be made where there is no browser. */
export function createClient(options: ClientOptions = {}): Client {
  return new PageClient(options);
}

/** It is an Api for what is asked by HTTP. */
class PageClient extends Api implements Client {
  readonly #follows = new Map<string, Set<Follow>>();
  readonly #listeners = new Set<(status: Status) => void>();
  readonly #staleAfterMs: number;
  #feed: Feed | undefined;
  #current: Status = INITIAL_STATUS;
  #skewMs: number | undefined;
  #synced: boolean | undefined;
  #unwatch: (() => void) | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;
  #aging: ReturnType<typeof setTimeout> | undefined;
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    super(options);
    this.#options = options;
    this.#staleAfterMs = options.staleAfterMs ?? STALE_AFTER_MS;
  }

  subscribe<T>(channel: string, listener: Listener<T>, options: FollowOptions = {}): Subscription {
    const follow = new Follow(channel, listener as Listener, options, {
      history: (c, since) => this.history(c, since),
      snapshot: (c) => this.snapshot(c),
      changed: () => this.#check(),
      broken: (e) => this.#broken(e),
    });
    const others = this.#follows.get(channel);
    if (!others) this.#follows.set(channel, new Set([follow]));
    else others.add(follow);
    const feed = this.#start();
    if (!others) feed.follow(channel, { since: options.since, snapshot: options.snapshot === true });
    else if ([...others].some((o) => o !== follow && o.joined)) {
      const position = feed.position(channel) ?? [...others].find((o) => o.joined)?.at();
      queueMicrotask(() => follow.take({ kind: "subscribed", channel, position }, false));
    }
    this.#check();
    return { position: () => follow.at(), unsubscribe: () => this.#unsubscribe(follow) };
  }

  #unsubscribe(follow: Follow): void {
    follow.end();
    const set = this.#follows.get(follow.channel);
    if (set?.delete(follow) && set.size === 0) {
      this.#follows.delete(follow.channel);
      this.#feed?.follow(follow.channel, undefined);
    }
    if (this.#follows.size === 0) {
      clearTimeout(this.#linger);
      this.#linger = setTimeout(() => this.#stop(), LINGER_MS);
    }
    this.#check();
  }

  status(): Status {
    return this.#current;
  }

  onStatus(f: (status: Status) => void): () => void {
    this.#listeners.add(f);
    return () => this.#listeners.delete(f);
  }

  now(): number {
    return Date.now() + (this.#skewMs ?? 0);
  }

  retry(): void {
    this.#feed?.on({ kind: "start" });
  }

  close(): void {
    for (const set of this.#follows.values()) for (const follow of set) follow.end();
    this.#follows.clear();
    this.#stop();
  }

  #start(): Feed {
    clearTimeout(this.#linger);
    if (this.#feed) return this.#feed;
    const options = this.#options;
    const global = (globalThis as { WebSocket?: SocketConstructor }).WebSocket;
    const line: LineOptions = {
      api: this,
      socket: options.WebSocket === null ? undefined : (options.WebSocket ?? global),
      tickets: options.token !== undefined,
      staleAfterMs: this.#staleAfterMs,
      tenant: options.tenant,
      renew: options.renew,
      take: (frame, asked) => this.#take(frame, asked),
      at: (channel) => this.#follows.get(channel)?.values().next().value?.at(),
      refused: (channel, problem) => {
        for (const follow of this.#follows.get(channel) ?? []) follow.refused(problem);
      },
      changed: (connection) => this.#changed(connection),
    };
    const feed = options.share?.(`${this.url("").href} ${options.tenant ?? ""}`, line) ?? new Alone(line);
    this.#feed = feed;
    this.#unwatch = watch(feed);
    // What else is subscribed to in the same breath rides in the same upgrade.
    queueMicrotask(() => this.#feed === feed && feed.on({ kind: "start" }));
    return feed;
  }

  #stop(): void {
    clearTimeout(this.#linger);
    clearTimeout(this.#aging);
    this.#unwatch?.();
    const feed = this.#feed;
    feed?.on({ kind: "stop" });
    this.#feed = this.#unwatch = this.#synced = this.#aging = undefined;
  }

  #take(frame: Frame, asked: boolean): void {
    if (frame.kind === "heartbeat" || frame.kind === "welcome") {
      // What is long on its way tells a time that is past: the newest is the nearest.
      const skew = frame.time - Date.now();
      if (frame.kind === "welcome" || this.#skewMs === undefined || skew > this.#skewMs) this.#skewMs = skew;
    }
    if (frame.kind === "heartbeat") {
      for (const set of this.#follows.values()) for (const follow of set) follow.take(frame, asked);
      return;
    }
    const channel = channelOf(frame);
    if (channel !== undefined) for (const follow of [...(this.#follows.get(channel) ?? [])]) follow.take(frame, asked);
  }

  #changed(connection: Connection): void {
    if (connection.phase !== "open" && this.#current.phase === "open") {
      for (const set of this.#follows.values()) for (const follow of set) follow.lost();
    }
    this.#check();
  }

  /** Tells the line whether everything is here, and the listeners how it stands. */
  #check(): void {
    const feed = this.#feed;
    if (!feed) return;
    let synced = true;
    for (const set of this.#follows.values()) for (const follow of set) synced &&= follow.inStep();
    if (feed.connection.phase !== "open") this.#synced = undefined;
    else if (this.#synced !== synced) {
      this.#synced = synced;
      feed.on({ kind: "synced", on: synced });
      return; // which comes back here
    }
    this.#tell(feed.connection, feed.role);
  }

  #tell(c: Connection, role: Role): void {
    const now = Date.now();
    const until = freshUntil(c, this.#staleAfterMs);
    const fresh = until !== undefined && now < until;
    if (fresh && !this.#aging) {
      this.#aging = setTimeout(() => {
        this.#aging = undefined;
        this.#check();
      }, until - now);
    }
    const { phase, transport, staleSince, staleReason, retryAt, denial, end } = c;
    const freshAt = fresh && this.#current.fresh ? this.#current.freshAt : c.freshAt;
    const next: Status = { health: health(c), fresh, freshAt, phase, transport, role, staleSince, staleReason, retryAt, denial, end };
    if (same(next, this.#current)) return;
    this.#current = next;
    for (const f of [...this.#listeners]) {
      try {
        f(next);
      } catch (e) {
        this.#broken(e);
      }
    }
  }

  #broken(e: unknown): void {
    if (this.#options.onError) this.#options.onError(e);
    else setTimeout(() => { throw e; });
  }
}

function same(a: Status, b: Status): boolean {
  return (Object.keys(a) as (keyof Status)[]).every((k) => a[k] === b[k]);
}

function channelOf(frame: Frame): string | undefined {
  switch (frame.kind) {
    case "message":
      return frame.message.channel;
    case "snapshot":
      return frame.page.channel;
    case "gap":
    case "subscribed":
      return frame.channel;
    default:
      return undefined;
  }
}

/** Listens to what the browser tells of the page and its line; returns how to end that. */
function watch(feed: Feed): () => void {
  if (typeof document === "undefined") return () => undefined;
  const off: (() => void)[] = [];
  const on = (target: EventTarget, type: string, f: (e: Event) => void) => {
    target.addEventListener(type, f);
    off.push(() => target.removeEventListener(type, f));
  };
  const look = () => {
    const seen = document.visibilityState === "visible";
    feed.on({ kind: "watched", on: seen });
    if (seen) feed.awake();
  };
  on(document, "visibilitychange", look);
  on(document, "freeze", () => feed.sleep());
  on(document, "resume", () => feed.awake());
  // Out of the back-forward cache, where iOS kills sockets without a word.
  on(window, "pagehide", (e) => (e as PageTransitionEvent).persisted && feed.sleep());
  on(window, "pageshow", (e) => (e as PageTransitionEvent).persisted && feed.awake());
  on(window, "online", () => feed.awake());
  on(window, "offline", () => feed.awake()); // the line may be gone: it is asked
  feed.on({ kind: "watched", on: document.visibilityState === "visible" });
  return () => off.forEach((f) => f());
}
