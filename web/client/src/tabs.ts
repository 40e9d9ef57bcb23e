/**
 * One line for all tabs of a browser. The tab that holds a Web Lock leads: it has the line, and hands on what comes by
 * BroadcastChannel. When it is closed, the next tab gets the lock and resumes. A tab that leads and does not answer (a phone
 * has frozen it) is robbed of the lock by one that somebody looks at.
 */

import { IDLE, type Connection, type LineEvent } from "./connection.ts";
import type { Frame, Position } from "./frame.ts";
import { KentonganError } from "./http.ts";
import type { Feed, Role, Share } from "./feed.ts";
import { Line, type LineOptions, type Wish } from "./line.ts";

type Word =
  | { readonly t: "want"; readonly tab: string; readonly wishes: readonly (readonly [string, Wish])[]; readonly watched: boolean }
  | { readonly t: "bye"; readonly tab: string }
  | { readonly t: "poke" }
  | { readonly t: "leader" }
  | { readonly t: "event"; readonly event: LineEvent }
  | { readonly t: "here"; readonly leader: string; readonly connection: Connection }
  | { readonly t: "frame"; readonly frame: Frame; readonly asked: boolean; readonly to: string | undefined }
  | { readonly t: "refused"; readonly channel: string; readonly code: string; readonly message: string; readonly temporary: boolean };

/** A tab that somebody looks at asks so often whether the leader lives, and robs it after so many times without an answer. */
export const POKE_MS = 2_000;
export const POKES = 3;

/**
 * Returns what createClient wants as `share`: one connection for all tabs of a browser. scope is what they must have in common besides
 * the server, such as the user's id where the credential is a token and not the cookie. Where there are no Web Locks
 * (an http page, an old browser, Node) each tab has its own connection.
 */
export function tabs(scope = ""): Share {
  return (server, line) => {
    const can = typeof document !== "undefined" && typeof BroadcastChannel === "function" && "locks" in navigator;
    return can ? new Tabs(`kentongan1 ${server} ${scope}`, line) : undefined;
  };
}

class Tabs implements Feed {
  role: Role = "follower";
  connection: Connection = IDLE;
  readonly #tab = crypto.randomUUID();
  readonly #wishes = new Map<string, Wish>();
  readonly #others = new Map<string, { readonly wishes: ReadonlyMap<string, Wish>; readonly watched: boolean }>();
  #line: Line | undefined;
  #port: BroadcastChannel | undefined;
  #leave: AbortController | undefined;
  #poking: ReturnType<typeof setInterval> | undefined;
  #pokes = 0;
  #skewMs: number | undefined; // how far the server's clock is ahead
  #leader: string | undefined;
  #turn: AbortController | undefined;
  #watched = true;
  #synced = false;
  readonly #name: string;
  readonly #options: LineOptions;

  constructor(name: string, options: LineOptions) {
    this.#name = name;
    this.#options = options;
  }

  follow(channel: string, wish: Wish | undefined): void {
    if (wish === undefined) this.#wishes.delete(channel);
    else this.#wishes.set(channel, wish);
    this.#tellWishes();
  }

  position(channel: string): Position | undefined {
    return this.#line?.position(channel);
  }

  on(event: LineEvent): void {
    switch (event.kind) {
      case "start":
        if (this.#port === undefined) this.#join();
        else if (this.#line === undefined) this.#say({ t: "event", event });
        else this.#line.on(event);
        return;
      case "stop":
        this.sleep();
        this.#set(IDLE);
        return;
      case "watched":
        this.#watched = event.on;
        this.#tellWishes();
        this.#poke();
        return;
      case "synced":
        this.#synced = event.on;
        if (this.#line === undefined) this.#heard(this.connection);
        break;
      case "wake":
        if (this.#line === undefined) this.#say({ t: "event", event });
        break;
      default:
        break;
    }
    this.#line?.on(event);
  }

  sleep(): void {
    this.#say({ t: "bye", tab: this.#tab });
    this.#demote();
    this.#leave?.abort();
    this.#turn?.abort();
    this.#port?.close();
    clearInterval(this.#poking);
    this.#leave = this.#port = this.#poking = undefined;
    this.#others.clear();
  }

  awake(): void {
    if (this.#port === undefined) this.#join();
    this.on({ kind: "wake" });
  }

  #join(): void {
    this.#port = new BroadcastChannel(this.#name);
    this.#port.onmessage = (m: MessageEvent<Word>) => this.#hear(m.data);
    this.#leave = new AbortController();
    this.#set({ ...IDLE, phase: "opening", since: Date.now() });
    // Held as long as this tab lives, so that the leader learns of its end.
    void navigator.locks.request(this.#lockOf(this.#tab), { signal: this.#leave.signal }, () => held(this.#leave?.signal)).catch(() => undefined);
    this.#queue();
    this.#tellWishes();
    this.#poke();
  }

  #lockOf(tab: string): string {
    return `${this.#name}:${tab}`;
  }

  /** Waits for the lock, and leads while it is held. */
  #queue(steal = false): void {
    const turn = new AbortController();
    const lead = () => {
      if (turn.signal.aborted) return undefined;
      this.#lead();
      return held(turn.signal);
    };
    this.#turn?.abort();
    this.#turn = turn;
    navigator.locks.request(this.#name, steal ? { steal } : { signal: turn.signal }, lead).catch(() => {
      if (turn.signal.aborted) return;
      this.#demote(); // robbed: another tab took us for frozen
      this.#queue();
      this.#tellWishes();
    });
  }

  #lead(): void {
    this.role = "leader";
    const options = this.#options;
    this.#line = new Line({
      ...options,
      take: (frame, asked) => {
        this.#say({ t: "frame", frame, asked, to: undefined });
        this.#take(frame, asked);
      },
      refused: (channel, problem) => {
        this.#say({ t: "refused", channel, code: problem.code, message: problem.message, temporary: problem.temporary });
        options.refused(channel, problem);
      },
      changed: (connection) => {
        if (this.#line === undefined) return; // it was taken from us, and is being closed
        if (differs(connection, this.connection)) this.#here(connection);
        this.#set(connection);
      },
    });
    this.#say({ t: "leader" });
    this.#line.on({ kind: "synced", on: this.#synced });
    for (const [channel, wish] of this.#wishes) this.#line.follow(channel, wish);
    for (const [tab, other] of this.#others) {
      this.#watchOver(tab);
      for (const [channel, wish] of other.wishes) this.#line.follow(channel, wish);
    }
    this.#line.on({ kind: "watched", on: this.#isWatched() });
    this.#line.on({ kind: "start" });
  }

  #demote(): void {
    this.role = "follower";
    const line = this.#line;
    this.#line = undefined;
    line?.on({ kind: "stop" });
    this.#set({ ...this.connection, phase: "opening", since: Date.now(), heardAt: undefined });
  }

  /** Waits for the end of a tab. */
  #watchOver(tab: string): void {
    const signal = this.#leave?.signal;
    if (signal === undefined) return;
    navigator.locks
      .request(this.#lockOf(tab), { signal }, () => {
        if (this.#line !== undefined) this.#hear({ t: "bye", tab });
      })
      .catch(() => undefined);
  }

  #take(frame: Frame, asked: boolean): void {
    if (frame.kind === "welcome" || frame.kind === "heartbeat") {
      const skew = frame.time - Date.now();
      if (frame.kind === "welcome" || this.#skewMs === undefined || skew > this.#skewMs) this.#skewMs = skew;
    }
    this.#options.take(frame, asked);
  }

  #hear(word: Word): void {
    switch (word.t) {
      case "want":
        this.#want(word.tab, new Map(word.wishes), word.watched);
        return;
      case "bye":
        this.#others.delete(word.tab);
        this.#prune();
        return;
      case "poke":
        if (this.#line === undefined) return;
        this.#line.on({ kind: "tick" }); // timers of a tab in the background come late, words of other tabs do not
        this.#here(this.connection);
        return;
      case "event":
        this.#line?.on(word.event);
        return;
      default:
        if (this.#line === undefined) this.#hearLeader(word);
    }
  }

  #want(tab: string, wishes: ReadonlyMap<string, Wish>, watched: boolean): void {
    const before = this.#others.get(tab);
    this.#others.set(tab, { wishes, watched });
    const line = this.#line;
    if (line === undefined) return;
    if (before === undefined) {
      this.#watchOver(tab);
      // It was not there when the server told the time, and would count down by its device's clock until the next heartbeat.
      const time = this.#skewMs === undefined ? undefined : Date.now() + this.#skewMs;
      if (time !== undefined) this.#say({ t: "frame", frame: { kind: "welcome", time, heartbeatMs: this.connection.heartbeatMs, expires: undefined }, asked: false, to: tab });
    }
    for (const [channel, wish] of wishes) {
      if (!line.joined(channel)) line.follow(channel, wish);
      else this.#say({ t: "frame", frame: { kind: "subscribed", channel, position: line.position(channel) }, asked: false, to: tab });
    }
    this.#prune();
    line.on({ kind: "watched", on: this.#isWatched() });
    this.#here(this.connection);
  }

  #hearLeader(word: Word): void {
    this.#pokes = 0;
    switch (word.t) {
      case "leader":
        this.#tellWishes();
        return;
      case "here":
        // A leader that is new to us may not have heard what we want, and we not what it said.
        if (word.leader !== this.#leader || (word.connection.phase === "open" && this.connection.phase !== "open")) {
          this.#leader = word.leader;
          this.#tellWishes();
        }
        this.#heard({ ...word.connection, freshAt: this.connection.freshAt });
        return;
      case "frame":
        if (word.to === undefined || word.to === this.#tab) this.#take(word.frame, word.asked);
        this.#heard({ ...this.connection, heardAt: Date.now() });
        return;
      case "refused":
        this.#options.refused(word.channel, new KentonganError(0, word.code, word.message, word.temporary));
        return;
      default:
    }
  }

  /** The leader's line lives; whether we have everything is our own affair. */
  #heard(c: Connection): void {
    const synced = this.#synced;
    const fresh = synced && c.phase === "open" && c.staleSince === undefined;
    this.#set({ ...c, synced, freshAt: fresh ? c.heardAt : c.freshAt });
  }

  #set(connection: Connection): void {
    this.connection = connection;
    this.#options.changed(connection);
  }

  /** Stops following what nobody wants any more. */
  #prune(): void {
    const line = this.#line;
    if (line === undefined) return;
    for (const channel of line.channels()) {
      if (this.#wishes.has(channel)) continue;
      if (![...this.#others.values()].some((o) => o.wishes.has(channel))) line.follow(channel, undefined);
    }
  }

  #isWatched(): boolean {
    return this.#watched || [...this.#others.values()].some((o) => o.watched);
  }

  #tellWishes(): void {
    const line = this.#line;
    if (line === undefined) {
      this.#say({ t: "want", tab: this.#tab, wishes: [...this.#wishes], watched: this.#watched });
      return;
    }
    for (const [channel, wish] of this.#wishes) line.follow(channel, wish);
    this.#prune();
    line.on({ kind: "watched", on: this.#isWatched() });
  }

  #poke(): void {
    clearInterval(this.#poking);
    this.#pokes = 0;
    if (!this.#watched || this.#port === undefined) return;
    const once = () => {
      if (this.#line !== undefined) return;
      if (this.#pokes++ < POKES) {
        this.#say({ t: "poke" });
        return;
      }
      this.#pokes = 0;
      this.#queue(true);
    };
    once();
    this.#poking = setInterval(once, POKE_MS);
  }

  #here(connection: Connection): void {
    this.#say({ t: "here", leader: this.#tab, connection });
  }

  #say(word: Word): void {
    this.#port?.postMessage(word);
  }
}

/** Returns what holds a lock until the signal. */
function held(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal === undefined || signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve());
  });
}

/** Reports whether other tabs have to know: not of each sign of life, which they see by what it was. */
function differs(a: Connection, b: Connection): boolean {
  return a.phase !== b.phase || a.quiet !== b.quiet || a.staleSince !== b.staleSince || a.retryAt !== b.retryAt || a.returnAt !== b.returnAt || a.transport !== b.transport;
}

