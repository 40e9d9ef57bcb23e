/**
 * A server in this process, as far as a client can tell: kentongan.v1, SSE, history, snapshots, tickets. Everything takes LATENCY_MS
 * of the (fake) clock each way. What real servers do is proven by the tests of ../../../e2e, which drive the built binary.
 */

import type { Socket, SocketConstructor } from "../src/line.ts";

export const LATENCY_MS = 10;
export const URL_OF_SERVER = "http://kitchen.test";

interface Entry {
  readonly offset: number;
  readonly time: number;
  readonly data: unknown;
  readonly key: string | undefined;
}

interface Stored {
  epoch: string;
  first: number; // offset of the oldest that is held
  entries: Entry[];
}

export class FakeServer {
  readonly connections: Connected[] = [];
  readonly requests: string[] = [];
  readonly credentials: (string | undefined)[] = []; // that came with upgrades
  channels = new Set(["a", "b", "c"]);
  heartbeatMs = 25_000;
  expires: number | undefined;
  /** Status of the answer to who we are; 200 if all is well. */
  status = 200;
  /** How HTTP is: works, is refused at once, swallows everything. */
  http: "works" | "down" | "hangs" = "works";
  /** How WebSocket handshakes are. */
  upgrades: "work" | "refused" | "hang" = "work";
  streams: "work" | "refused" = "work";
  /** Retry-After of a 503, s. */
  retryAfter = 0;
  skewMs = 0;
  onExtend: () => number | undefined = () => this.expires;
  private readonly stored = new Map<string, Stored>();
  private epochs = 0;

  /** keeping: the channels that keep the newest of each key. */
  constructor(readonly keeping: readonly string[] = ["a"]) {}

  now(): number {
    return Date.now() + this.skewMs;
  }

  of(channel: string): Stored {
    let s = this.stored.get(channel);
    if (s === undefined) this.stored.set(channel, (s = { epoch: `e${++this.epochs}`, first: 1, entries: [] }));
    return s;
  }

  head(channel: string): { epoch: string; offset: number } {
    const s = this.of(channel);
    return { epoch: s.epoch, offset: s.first + s.entries.length - 1 };
  }

  publish(channel: string, data: unknown, key?: string): void {
    const s = this.of(channel);
    const entry = { offset: s.first + s.entries.length, time: this.now(), data, key };
    s.entries.push(entry);
    for (const c of this.connections) c.tell(channel, { message: { channel, offset: entry.offset, epoch: s.epoch, time: entry.time, data } });
  }

  /** Forgets the oldest n entries. */
  trim(channel: string, n: number): void {
    const s = this.of(channel);
    s.first += s.entries.splice(0, n).length;
  }

  /** Begins a new history, and tells whoever is connected. */
  turn(channel: string, cause = "intake"): void {
    this.stored.set(channel, { epoch: `e${++this.epochs}`, first: 1, entries: [] });
    for (const c of this.connections) c.tell(channel, { gap: { channel, cause, ...this.head(channel) } });
  }

  say(frame: object): void {
    for (const c of this.connections) c.send(frame);
  }

  heartbeat(): void {
    for (const c of this.connections) {
      c.send({ heartbeat: { time: this.now(), offsets: Object.fromEntries([...c.follows].map((ch) => [ch, this.head(ch).offset])) } });
    }
  }

  /** Breaks all connections; the other end is told. */
  cut(code = 1006): void {
    for (const c of [...this.connections]) c.close(code);
  }

  /** Lets all connections die without a word. */
  vanish(): void {
    for (const c of this.connections.splice(0)) c.vanish();
  }

  page(channel: string, since: { epoch: string; offset: number } | undefined, limit: number): object {
    const s = this.of(channel);
    const head = this.head(channel);
    const gap = since && this.gapOf(channel, since);
    if (gap) return { channel, ...head, messages: [], gap };
    const entries = s.entries.filter((e) => e.offset > (since?.offset ?? 0));
    const messages = entries.slice(0, limit).map(({ offset, time, data }) => ({ offset, time, data }));
    return { channel, ...head, messages, ...(entries.length > limit && { more: true }) };
  }

  gapOf(channel: string, since: { epoch: string; offset: number }): string | undefined {
    const s = this.of(channel);
    if (since.epoch !== s.epoch) return "epoch";
    if (since.offset > this.head(channel).offset) return "ahead";
    return since.offset < s.first - 1 ? "expired" : undefined;
  }

  newest(channel: string): object[] {
    const byKey = new Map<string, Entry>();
    for (const e of this.of(channel).entries) if (e.key !== undefined) byKey.set(e.key, e);
    return [...byKey.values()].sort((x, y) => x.offset - y.offset).map(({ offset, time, data }) => ({ offset, time, data }));
  }

  /** The constructor to give to the client. */
  readonly socket: SocketConstructor = ((server) =>
    class implements Socket {
      onmessage: Socket["onmessage"] = null;
      onclose: Socket["onclose"] = null;
      onerror: Socket["onerror"] = null;
      private readonly peer: Connected;
      constructor(url: string, protocols: string[], init?: { readonly headers: Record<string, string> }) {
        server.credentials.push(init?.headers["authorization"]);
        if (protocols.join() !== "kentongan.v1") throw new Error(`protocols ${protocols.join()}`);
        server.requests.push(`WS ${url.slice(url.indexOf("/api"))}`);
        this.peer = new Connected(server, (frame) => this.onmessage?.({ data: JSON.stringify(frame) }), (code) => this.onclose?.({ code, reason: "" }));
        later(() => {
          if (server.upgrades === "refused" || server.status !== 200 || server.http === "down") this.peer.close(1006);
          else if (server.upgrades === "work" && server.http === "works") this.peer.accept(new URL(url));
        });
      }
      send(data: string): void {
        later(() => this.peer.hear(JSON.parse(data) as Command));
      }
      close(): void {
        this.peer.vanish();
      }
    })(this);

  /** The fetch to give to the client. */
  readonly fetch = async (address: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const url = new URL(String(address));
    this.requests.push(`${init?.method ?? "GET"} ${url.pathname}${decodeURIComponent(url.search)}`);
    const signal = init?.signal;
    await new Promise<void>((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(new Error("aborted")));
      if (this.http === "works") later(resolve);
      else if (this.http === "down") later(() => reject(new TypeError("network")));
    });
    if (this.status !== 200) {
      const headers: Record<string, string> = this.retryAfter > 0 ? { "retry-after": String(this.retryAfter) } : {};
      return json(this.status, { success: false, error: { code: `C${this.status}`, message: "no" } }, headers);
    }
    return this.route(url, signal ?? undefined);
  };

  private route(url: URL, signal: AbortSignal | undefined): Response {
    const q = url.searchParams;
    const channel = q.get("channel") ?? "";
    switch (url.pathname) {
      case "/api/ws":
        return json(200, { success: true, data: { sppgId: "sppg_7", userId: "u1", userRole: "SPPG_KEPALA", channels: [...this.channels] } });
      case "/api/ticket":
        return json(200, { success: true, data: { ticket: "t1" } });
      case "/api/ws/extend":
        return json(200, { success: true, data: { extended: 1, expires: new Date(this.onExtend() ?? 0).toISOString() } });
      case "/api/presence":
        return json(200, { channel, members: [{ user: "u1", sessions: 2, since: 1 }] });
      case "/api/history": {
        if (q.get("snapshot") === "1") {
          if (!this.keeping.includes(channel)) return json(400, { success: false, error: { code: "BAD_REQUEST", message: "no snapshot" } });
          return json(200, { channel, ...this.head(channel), messages: this.newest(channel) });
        }
        const epoch = q.get("epoch");
        return json(200, this.page(channel, epoch === null ? undefined : { epoch, offset: Number(q.get("offset")) }, Number(q.get("limit") ?? 1000)));
      }
      case "/api/sse":
        return this.stream(url, signal);
      default:
        return json(404, {});
    }
  }

  private stream(url: URL, signal: AbortSignal | undefined): Response {
    const names = (url.searchParams.get("channels") ?? "").split(",").map((c) => c.split("@")[0] ?? "");
    if (this.streams === "refused") return json(502, {});
    if (names.some((n) => !this.channels.has(n))) return json(404, { success: false, error: { code: "NO_SUCH_CHANNEL", message: "no" } });
    let peer: Connected | undefined;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const encoder = new TextEncoder();
        peer = new Connected(
          this,
          (frame) => {
            const [type, data] = Object.entries(frame)[0] ?? ["", {}];
            controller.enqueue(encoder.encode(`${type === "message" ? "" : `event: ${type}\n`}data: ${JSON.stringify(data)}\n\n`));
          },
          () => controller.error(new Error("broken")),
        );
        signal?.addEventListener("abort", () => peer?.vanish());
        peer.accept(url, true);
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }
}

interface Command {
  readonly id: number;
  readonly subscribe?: { readonly channel: string; readonly since?: { readonly epoch: string; readonly offset: number }; readonly snapshot?: boolean };
  readonly unsubscribe?: { readonly channel: string };
  readonly ping?: object;
}

/** The server's end of one connection. */
class Connected {
  readonly follows = new Set<string>();
  private alive = true;
  private sse = false;

  constructor(
    private readonly server: FakeServer,
    private readonly out: (frame: object) => void,
    private readonly end: (code: number) => void,
  ) {}

  accept(url: URL, sse = false): void {
    if (!this.alive) return;
    this.sse = sse;
    const { server } = this;
    const list = url.searchParams.get("channels");
    const wishes = (list === null || list === "" ? [] : list.split(",")).map((w) => {
      const [channel = "", at] = w.split("@");
      const [epoch = "", offset] = at?.split("/") ?? [];
      return { channel, since: at === undefined ? undefined : { epoch, offset: Number(offset) } };
    });
    if (wishes.some((w) => !server.channels.has(w.channel))) {
      this.close(1006);
      return;
    }
    server.connections.push(this);
    const heartbeatMs = sse ? 15_000 : server.heartbeatMs;
    this.send({ welcome: { session: "s1", time: server.now(), heartbeatMs, expires: server.expires, channels: wishes.map((w) => w.channel) } });
    if (sse && wishes.some((w) => w.since)) this.send({ heartbeat: { time: server.now(), offsets: Object.fromEntries(wishes.map((w) => [w.channel, server.head(w.channel).offset])) } });
    for (const w of wishes) this.subscribe(w.channel, w.since, url.searchParams.get("snapshot") === "1");
  }

  hear(c: Command): void {
    if (!this.alive) return;
    if (c.ping) this.send({ id: c.id, pong: { time: this.server.now() } });
    if (c.unsubscribe) {
      this.follows.delete(c.unsubscribe.channel);
      this.send({ id: c.id, unsubscribed: c.unsubscribe });
    }
    if (!c.subscribe) return;
    const { channel, since, snapshot } = c.subscribe;
    if (!this.server.channels.has(channel)) {
      this.send({ id: c.id, error: { code: "NO_SUCH_CHANNEL", message: "no such channel", temporary: false } });
      return;
    }
    this.subscribe(channel, since, snapshot === true);
  }

  private subscribe(channel: string, since: { epoch: string; offset: number } | undefined, snapshot: boolean): void {
    const { server } = this;
    const head = server.head(channel);
    const gap = since && server.gapOf(channel, since);
    const recovered = since !== undefined && gap === undefined;
    if (this.sse && gap) this.send({ gap: { channel, cause: gap, ...head } });
    const newest = !recovered && snapshot && server.keeping.includes(channel) && !this.sse;
    if (newest) this.send({ snapshot: { channel, ...head, messages: server.newest(channel) } });
    if (!this.sse) this.send({ subscribed: { channel, ...head, recovered, ...(newest && { snapshot: true }), ...(gap && { gap }) } });
    this.follows.add(channel);
    if (!recovered) return;
    const s = server.of(channel);
    for (const e of s.entries) if (e.offset > since.offset) this.tell(channel, { message: { channel, offset: e.offset, epoch: s.epoch, time: e.time, data: e.data } });
  }

  tell(channel: string, frame: object): void {
    if (this.follows.has(channel)) this.send(frame);
  }

  send(frame: object): void {
    later(() => {
      if (this.alive) this.out(frame);
    });
  }

  close(code: number): void {
    if (!this.alive) return;
    this.vanish();
    later(() => this.end(code));
  }

  vanish(): void {
    this.alive = false;
    const at = this.server.connections.indexOf(this);
    if (at >= 0) this.server.connections.splice(at, 1);
  }
}

function later(f: () => void): void {
  setTimeout(f, LATENCY_MS);
}

function json(status: number, body: object, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } });
}
