/** The line to the server: does what the state machine of connection.ts says, with real sockets, streams and time. */

import { deadline, IDLE, step, type Act, type Connection, type LineEvent } from "./connection.ts";
import { readEvent, readFrame, type Frame, type Position } from "./frame.ts";
import { KentonganError, type Api } from "./http.ts";
import { streamReader } from "./sse.ts";

/** Written as of a method, so that sockets whose events have more in them fit as well. */
type Handler<E> = { on(e: E): void }["on"] | null;

/** What the line uses of a WebSocket: the browser's own, or the one of `ws`. */
export interface Socket {
  onmessage: Handler<{ readonly data: unknown }>;
  onclose: Handler<{ readonly code: number; readonly reason: string }>;
  onerror: Handler<never>;
  send(data: string): void;
  close(code?: number): void;
}
/** Outside of browsers init has the credential, which the `ws` of Node takes as it is. */
export type SocketConstructor = new (url: string, protocols: string[], init?: { readonly headers: Record<string, string> }) => Socket;

/** How a channel is to be followed. */
export interface Wish {
  readonly since: Position | undefined;
  readonly snapshot: boolean;
}

export interface LineOptions {
  readonly api: Api;
  readonly socket: SocketConstructor | undefined;
  readonly tickets: boolean;
  readonly staleAfterMs: number;
  /** For platform roles: whose channels are meant. */
  readonly tenant: string | undefined;
  /** Renews the session, for example by asking the app for it. */
  readonly renew: (() => Promise<unknown>) | undefined;
  /** Takes a frame. asked: the snapshot was asked for. */
  readonly take: (frame: Frame, asked: boolean) => void;
  /** Returns how far a channel is known, where the line itself does not know: another line was there before. */
  readonly at: (channel: string) => Position | undefined;
  readonly refused: (channel: string, problem: KentonganError) => void;
  readonly changed: (c: Connection) => void;
}

/** Longer addresses are cut by some proxies. What does not fit is subscribed to by a command. */
const MAX_QUERY = 1_800;
/** A channel that could not be followed for a passing reason is tried again after this. */
const AGAIN_AFTER_MS = 5_000;
/** Channels that are wanted in the same moment share one new event stream. */
const GATHER_MS = 20;
/** setTimeout cannot count further; the machine is asked in between, and nothing is due. */
const MAX_TIMER_MS = 0x7fffffff;
/** No clock is corrected by so much in passing. */
const JUMP_MS = 2_000;
/** The names of those close codes that end an event stream for good, and of the one that asks for a new session. */
const FINAL: Readonly<Record<string, number>> = { revoked: 4500, "bad-requests": 4501, forbidden: 4503, "session-expired": 4002 };

/** Line holds one connection at most. */
export class Line {
  connection: Connection = IDLE;
  readonly #wishes = new Map<string, Wish>();
  /** How far each channel came over this line: where to resume. */
  readonly #positions = new Map<string, Position>();
  readonly #commands = new Map<number, string>();
  readonly #live = new Set<string>(); // channels that the server has said we follow
  #inAddress = new Set<string>();
  #allowed: ReadonlySet<string> | undefined;
  #socket: Socket | undefined;
  #request: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueAt = Infinity;
  #nextId = 1;
  #drift: number | undefined; // between the clock and the time that only goes forward
  #skewMs = 0; // how far the server's clock is ahead of ours
  #lastWords = "";
  #regather: ReturnType<typeof setTimeout> | undefined;
  readonly #options: LineOptions;

  constructor(options: LineOptions) {
    this.#options = options;
    if (!options.socket) this.connection = { ...IDLE, transport: "sse" };
  }

  /** Follows a channel from now on; `undefined` ends that. A wish for a channel that is followed changes nothing. */
  follow(channel: string, wish: Wish | undefined): void {
    const open = this.connection.phase === "open";
    if (!wish) {
      this.#positions.delete(channel);
      this.#live.delete(channel);
      if (this.#wishes.delete(channel) && open) this.#command({ unsubscribe: { channel } });
      return;
    }
    if (this.#wishes.has(channel)) return;
    this.#wishes.set(channel, wish);
    if (open) this.#subscribe(channel);
  }

  channels(): string[] {
    return [...this.#wishes.keys()];
  }

  /** Reports whether a channel is followed on this connection. */
  joined(channel: string): boolean {
    return this.#live.has(channel);
  }

  /** Returns how far a channel is that is followed. */
  position(channel: string): Position | undefined {
    return this.#positions.get(channel);
  }

  /** Feeds the machine with an event. */
  on(event: LineEvent): void {
    this.#watchClock();
    const before = this.connection;
    const [next, acts] = step(before, event, Date.now(), Math.random(), this.#options.staleAfterMs);
    this.connection = next;
    for (const act of acts) this.#perform(act);
    this.#arm();
    if (this.connection !== before) this.#options.changed(this.connection);
  }

  /** Notices that the device has slept or its clock was set: in both cases the line may be dead, and ages wrong. */
  #watchClock(): void {
    const drift = Date.now() - performance.now();
    const jump = drift - (this.#drift ?? drift);
    this.#drift = drift;
    if (Math.abs(jump) < JUMP_MS) return;
    this.#dueAt = Infinity; // a timer knows nothing of that
    this.on({ kind: jump < 0 ? "jumped" : "wake" });
  }

  /** Sets the timer to when the machine next wants to be asked. It is left alone if it goes off before: it is set anew then. */
  #arm(): void {
    const due = deadline(this.connection);
    if (due !== undefined && this.#dueAt <= due) return;
    clearTimeout(this.#timer);
    this.#dueAt = due ?? Infinity;
    if (due === undefined) return;
    this.#timer = setTimeout(() => {
      this.#dueAt = Infinity;
      this.on({ kind: "tick" });
    }, Math.min(MAX_TIMER_MS, Math.max(0, due - Date.now())));
  }

  #perform(act: Act): void {
    switch (act) {
      case "open":
        void this.#open();
        return;
      case "ask":
        void this.#ask();
        return;
      case "drop":
        this.#drop();
        return;
      case "probe":
        this.#command({ ping: {} });
        return;
      case "extend":
        void this.#extend();
        return;
    }
  }

  /** Starts something that a drop, or the next of its kind, ends. Returns whether that has happened. */
  #begin(): { readonly signal: AbortSignal; readonly over: () => boolean } {
    this.#drop();
    const request = new AbortController();
    this.#request = request;
    return { signal: request.signal, over: () => this.#request !== request };
  }

  #drop(): void {
    this.#request?.abort();
    this.#request = undefined;
    this.#commands.clear();
    this.#live.clear();
    clearTimeout(this.#regather);
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) {
      socket.onmessage = socket.onclose = null; // what it says after this is no longer heard
      socket.close(1000);
    }
  }

  async #open(): Promise<void> {
    const { signal, over } = this.#begin();
    const { api, tickets } = this.#options;
    const sse = this.connection.transport === "sse";
    try {
      // A page cannot send a header with an upgrade. A program can, and has no Origin, without which no ticket is taken.
      const page = typeof document !== "undefined";
      const ticket = tickets && !sse && page ? await api.ticket() : undefined;
      const headers = page ? undefined : await api.credential();
      if (over()) return;
      const url = this.#address(sse, ticket);
      if (sse) await this.#stream(url, signal, over);
      else this.#dial(url, headers, over);
    } catch (e) {
      if (over()) return;
      const problem = e instanceof KentonganError ? e : undefined;
      if (problem?.temporary) this.on({ kind: "unreachable", retryAfterMs: problem.retryAfterMs });
      else this.on({ kind: "closed", code: 1006, reason: "" }); // why, the next request finds out
    }
  }

  /** Returns where to connect. Wanted channels and their positions ride along, so that the first answer brings what was missed. */
  #address(sse: boolean, ticket: string | undefined): URL {
    const url = this.#options.api.url(sse ? "/api/sse" : "/api/ws");
    if (!sse) url.protocol = url.protocol.replace("http", "ws");
    const query: string[] = [];
    this.#inAddress = new Set();
    let size = 0;
    let snapshot = false;
    for (const [channel, wish] of this.#wishes) {
      if (sse ? this.#allowed?.has(channel) === false : this.connection.refusals > 0) continue;
      const at = this.#since(channel);
      const word = encodeURIComponent(channel) + (at ? `@${at.epoch}/${at.offset}` : "");
      if (!sse && (size += word.length) > MAX_QUERY) continue;
      this.#inAddress.add(channel);
      query.push(word);
      snapshot ||= wish.snapshot;
    }
    const more = [];
    if (query.length > 0) more.push(`channels=${query.join()}`);
    if (snapshot && !sse) more.push("snapshot=1");
    if (ticket !== undefined) more.push(`ticket=${encodeURIComponent(ticket)}`);
    if (this.#options.tenant !== undefined) more.push(`tenant=${encodeURIComponent(this.#options.tenant)}`);
    url.search = more.join("&");
    return url;
  }

  #dial(url: URL, headers: Record<string, string> | undefined, over: () => boolean): void {
    const Constructor = this.#options.socket;
    if (Constructor === undefined) return;
    const socket = new Constructor(url.href, ["kentongan.v1"], headers && { headers });
    this.#socket = socket;
    socket.onmessage = (m) => {
      if (!over() && typeof m.data === "string") this.#receive(readFrame(m.data));
    };
    socket.onerror = () => undefined; // close comes as well
    socket.onclose = (e) => {
      if (over()) return;
      this.#socket = undefined;
      this.on({ kind: "closed", code: e.code, reason: e.reason });
    };
  }

  async #stream(url: URL, signal: AbortSignal, over: () => boolean): Promise<void> {
    this.#lastWords = "";
    const response = await this.#options.api.send("GET", url, "text/event-stream", signal);
    const body = response.body?.getReader();
    const read = streamReader();
    const decoder = new TextDecoder();
    try {
      for (let piece = await body?.read(); piece !== undefined && !piece.done; piece = await body?.read()) {
        for (const event of read(decoder.decode(piece.value, { stream: true }))) {
          if (over()) return;
          this.#receive(readEvent(event.type, event.data));
        }
      }
    } catch {
      // a broken line, or an event without an end: both end the stream
    }
    if (!over()) this.on({ kind: "closed", code: FINAL[this.#lastWords] ?? 1006, reason: this.#lastWords });
  }

  #receive(received: Frame): void {
    const options = this.#options;
    let frame = received;
    switch (frame.kind) {
      case "welcome":
        this.#skewMs = frame.time - Date.now();
        this.on({ kind: "opened", heartbeatMs: frame.heartbeatMs, expiresInMs: frame.expires === undefined ? undefined : frame.expires - frame.time });
        options.take(frame, false);
        this.#welcomed();
        return;
      case "message":
        this.#positions.set(frame.message.channel, frame.message.position);
        break;
      case "gap":
        this.#positions.set(frame.channel, frame.position);
        break;
      case "subscribed":
        this.#live.add(frame.channel);
        for (const [id, channel] of this.#commands) if (channel === frame.channel) this.#commands.delete(id);
        frame = { ...frame, from: this.#since(frame.channel) };
        if (frame.position) this.#positions.set(frame.channel, (frame.recovered && frame.from) || frame.position);
        break;
      case "unsubscribed":
        if (frame.code !== "" && this.#wishes.delete(frame.channel)) options.refused(frame.channel, new KentonganError(403, frame.code, "the server ended it", false));
        break;
      case "error":
        this.#failed(frame.id, new KentonganError(0, frame.code, frame.message, frame.temporary));
        break;
      case "stale":
      case "fresh":
        this.on(frame);
        break;
      case "goaway":
        this.#lastWords = frame.reason;
        if (frame.reconnectInMs > 0) this.on(frame);
        break;
    }
    const asked = frame.kind === "subscribed" && this.connection.transport === "websocket" && this.#wishes.get(frame.channel)?.snapshot === true;
    options.take(frame, asked);
    this.on({ kind: "heard" });
  }

  #welcomed(): void {
    for (const [channel] of this.#wishes) {
      if (!this.#inAddress.has(channel)) this.#subscribe(channel);
      else if (this.#streams()) this.#streamed(channel);
    }
  }

  /** Where we are in a channel: what comes next is after it. */
  #since(channel: string): Position | undefined {
    return this.#positions.get(channel) ?? this.#options.at(channel) ?? this.#wishes.get(channel)?.since;
  }

  #streams(): boolean {
    return !this.#socket;
  }

  /** An event stream does not say where a channel stands. */
  #streamed(channel: string): void {
    this.#live.add(channel);
    this.#options.take({ kind: "subscribed", channel, recovered: true }, false);
  }

  #subscribe(channel: string): void {
    const wish = this.#wishes.get(channel);
    if (!wish) return;
    if (this.#streams()) {
      if (this.#allowed?.has(channel) === false) {
        this.#options.refused(channel, new KentonganError(404, "NO_SUCH_CHANNEL", "no such channel for this connection", false));
        return;
      }
      clearTimeout(this.#regather);
      this.#regather = setTimeout(() => this.on({ kind: "start" }), GATHER_MS);
      return;
    }
    const since = this.#since(channel);
    this.#commands.set(this.#command({ subscribe: { channel, ...(since && { since }), ...(wish.snapshot && { snapshot: true }) } }), channel);
  }

  #command(command: object): number {
    const id = this.#nextId++;
    this.#socket?.send(JSON.stringify({ id, ...command }));
    return id;
  }

  #failed(id: number, problem: KentonganError): void {
    const channel = this.#commands.get(id);
    if (channel === undefined) return;
    this.#commands.delete(id);
    if (!problem.temporary) this.#wishes.delete(channel);
    this.#options.refused(channel, problem);
    const request = this.#request;
    if (problem.temporary) {
      setTimeout(() => {
        if (this.#request === request) this.#subscribe(channel);
      }, AGAIN_AFTER_MS);
    }
  }

  /** Finds out why the line does not come up. A session that is over is renewed, if somebody has told how. */
  async #ask(): Promise<void> {
    const { over } = this.#begin();
    const { api, renew } = this.#options;
    for (let renewed = renew === undefined; ; renewed = true) {
      try {
        const info = await api.info();
        if (over()) return;
        if (info.sppgId !== undefined) this.#allowed = new Set(info.channels);
        this.on({ kind: "admitted" });
        return;
      } catch (e) {
        if (over()) return;
        const problem = e instanceof KentonganError ? e : undefined;
        if (problem?.status === 401 && !renewed) {
          await renew?.().catch(() => undefined); // the next answer tells whether it helped
          if (over()) return;
          continue;
        }
        if (problem?.status === 401 || problem?.status === 403) this.on({ kind: "denied", denial: { status: problem.status, code: problem.code } });
        else this.on({ kind: "unreachable", retryAfterMs: problem?.retryAfterMs ?? 0 });
        return;
      }
    }
  }

  async #extend(): Promise<void> {
    const request = this.#request;
    const { api, renew } = this.#options;
    let expires: number | undefined;
    try {
      await renew?.();
      expires = await api.extend();
    } catch {
      expires = Date.now() + this.#skewMs; // again in a moment; at its end the server closes the line, and asking tells the rest
    }
    if (this.#request === request) this.on({ kind: "extended", expiresInMs: expires === undefined ? undefined : expires - Date.now() - this.#skewMs });
  }
}
