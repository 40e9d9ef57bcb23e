/**
 * What somebody enters while there is no line: HTTP requests that are kept on the disk, and sent in the order of their entry, once each,
 * when there is one again. An entry is gone from here when the server has taken it, or when somebody has decided about it; never
 * because a tab was closed.
 *
 * Once: each request carries an idempotency key, and is repeated until there is an answer. In order: one request at a time, by one tab
 * at a time (Web Locks); what the server refuses stops those behind it that belong together with it (`group`), and no others. What is
 * large and in no hurry (`bulky`) has a lane of its own, in which it is in order as well: nothing else waits until it is through.
 */

import { BACKOFF_FIRST_MS, BACKOFF_MOST_MS } from "./connection.ts";
import { field, parse, text } from "./json.ts";
import { openStore, type Store, type Stored } from "./outbox-store.ts";

/** A request to be sent. */
export interface Outgoing {
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE";
  /** Where to, from the base of the outbox: "/api/productions/p1/readings". */
  readonly path: string;
  /** What is sent as JSON; `undefined`: nothing. */
  readonly body?: unknown;
  /** What makes a repeat harmless; a random one unless set. It is sent as Idempotency-Key. */
  readonly key?: string | undefined;
  /** Entries of one group wait for each other, such as those of one batch. Without a word all that have none are one group. */
  readonly group?: string | undefined;
  /** Large, and nothing depends on it, such as a photo: it goes beside the others, which overtake it on a slow line. */
  readonly bulky?: boolean | undefined;
}

/** Why the server does not take an entry. Somebody has to decide. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  /** The whole answer, for example with the value that is stored instead. */
  readonly answer: unknown;
}

export interface Entry {
  /** Its place in the order. */
  readonly seq: number;
  readonly method: Outgoing["method"];
  readonly path: string;
  readonly body: unknown;
  readonly key: string;
  readonly group: string;
  readonly bulky?: boolean | undefined;
  /** When it was entered, ms since 1970 by this device's clock. */
  readonly enteredAt: number;
  /** Undefined: it waits to be sent. */
  readonly refusal: Refusal | undefined;
}

/** What an outbox shows. A new object each time, and the same one as long as nothing changes. */
export interface OutboxState {
  /** What the server does not have yet, oldest first: those that wait, and those that it has refused. */
  readonly unsent: readonly Entry[];
  /** `signed-out`: the session is over, and sending waits for `flush` after a new one. `offline`: the server does not answer. */
  readonly state: "idle" | "sending" | "offline" | "signed-out";
  /** False where the browser keeps nothing: what is unsent is lost with the page. */
  readonly durable: boolean;
}

export interface OutboxOptions {
  /** Its name; each has entries of its own. Whoever shares a device with others takes the user's id into it. */
  readonly name?: string | undefined;
  /** Where paths begin; without it the page's own origin. */
  readonly url?: string | undefined;
  /** Returns the bearer token for the next request. Without it the session cookie is the credential. */
  readonly token?: (() => string | Promise<string>) | undefined;
  readonly fetch?: typeof fetch | undefined;
  /** Another place to keep entries in. */
  readonly store?: (() => Promise<Store>) | undefined;
  /** An entry has been taken by the server, with this answer. */
  readonly onSent?: ((entry: Entry, answer: unknown) => void) | undefined;
}

export interface Outbox {
  state(): OutboxState;
  /** Calls f whenever the state changes. Returns how to end that. */
  onState(f: (state: OutboxState) => void): () => void;
  /** Keeps a request and sends it as soon as possible. It resolves once it is kept; it throws if it cannot be. */
  add(request: Outgoing): Promise<Entry>;
  /** Sends a refused entry again, as it was or with another body: with a new key if that is another one. */
  retry(seq: number, change?: { readonly body: unknown }): Promise<void>;
  /** Gives an entry up. */
  remove(seq: number): Promise<void>;
  /** Tries at once. */
  flush(): void;
  /** Stops sending; what is unsent stays for the next time. */
  close(): void;
}

/** More than any tablet enters in days without a line (3,120 in a day with probes). Past it `add` throws, and the screen can say so. */
export const MAX_UNSENT = 10_000;

/** A request that takes longer than this is tried again; a large one may take longer, for it has to get through a line of 32 kbit/s. */
const ANSWER_WAIT_MS = 20_000;
const BYTES_A_MS = 4;

const EMPTY: OutboxState = { unsent: [], state: "idle", durable: true };

/** Opens an outbox and begins to send what is in it. Where there is no browser it does nothing until something is added. */
export function createOutbox(options: OutboxOptions = {}): Outbox {
  return new Sender(options);
}

/** What is sent one after the other. */
interface Lane {
  readonly bulky: boolean;
  readonly lock: string;
  sending: boolean;
  again: boolean;
  attempt: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  state: OutboxState["state"];
}

class Sender implements Outbox {
  readonly #options: OutboxOptions;
  readonly #name: string;
  readonly #listeners = new Set<(state: OutboxState) => void>();
  readonly #end = new AbortController();
  readonly #opened: Promise<Store>;
  readonly #off: (() => void)[] = [];
  #current = EMPTY;
  #port: BroadcastChannel | undefined;
  readonly #lanes: readonly [Lane, Lane];
  #looking: Promise<unknown> = Promise.resolve();
  #adding: Promise<unknown> = Promise.resolve();

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#name = `kentongan-outbox ${options.name ?? ""}`;
    const lane = (bulky: boolean, lock: string): Lane => ({ bulky, lock, sending: false, again: false, attempt: 0, timer: undefined, state: "idle" });
    this.#lanes = [lane(false, this.#name), lane(true, `${this.#name} bulky`)];
    this.#opened = (options.store ?? (() => openStore(this.#name)))();
    if (typeof document === "undefined") return;
    if (typeof BroadcastChannel === "function") {
      this.#port = new BroadcastChannel(this.#name);
      this.#port.onmessage = () => void this.#look();
    }
    const flush = () => this.flush();
    for (const [target, type] of [[window, "online"], [window, "pageshow"], [document, "visibilitychange"], [document, "resume"]] as const) {
      target.addEventListener(type, flush);
      this.#off.push(() => target.removeEventListener(type, flush));
    }
    flush();
  }

  state(): OutboxState {
    return this.#current;
  }

  onState(f: (state: OutboxState) => void): () => void {
    this.#listeners.add(f);
    return () => this.#listeners.delete(f);
  }

  async add(request: Outgoing): Promise<Entry> {
    const { method, path, body, key = randomKey(), group = "", bulky } = request;
    if (!path.startsWith("/")) throw new TypeError(`kentongan: the path of an entry begins with "/", and ${JSON.stringify(path)} does not`);
    if (this.#current.unsent.length >= MAX_UNSENT) throw new RangeError(`kentongan: ${MAX_UNSENT} entries wait to be sent; no more are kept`);
    const entry = { method, path, body, key, group, enteredAt: Date.now(), refusal: undefined, ...(bulky === true && { bulky }) };
    // One after the other, so that the order of the calls is the order of the entries.
    const added = this.#adding.then(async () => (await this.#opened).add(entry));
    this.#adding = added.catch(() => undefined);
    const kept = { seq: await added, ...entry };
    await this.#changed();
    this.flush();
    return kept;
  }

  async retry(seq: number, change?: { readonly body: unknown }): Promise<void> {
    const entry = await this.#find(seq);
    if (entry === undefined) return;
    // The same key with another body would be answered as a mistake: KEY_REUSED.
    const next = change === undefined ? entry : { ...entry, body: change.body, key: randomKey() };
    await (await this.#opened).put(seq, { ...strip(next), refusal: undefined });
    await this.#changed();
    this.flush();
  }

  async remove(seq: number): Promise<void> {
    await (await this.#opened).remove(seq);
    await this.#changed();
    this.flush(); // what waited behind it
  }

  flush(): void {
    for (const lane of this.#lanes) this.#go(lane);
  }

  #go(lane: Lane): void {
    clearTimeout(lane.timer);
    lane.again = true;
    if (!lane.sending && !this.#end.signal.aborted) void this.#run(lane);
  }

  close(): void {
    this.#end.abort();
    for (const lane of this.#lanes) clearTimeout(lane.timer);
    this.#off.forEach((f) => f());
    this.#port?.close();
    this.#port = undefined;
    void this.#opened.then((store) => store.close());
  }

  /** Sends until nothing is left that can be sent now, if no other tab does. */
  async #run(lane: Lane): Promise<void> {
    lane.sending = true;
    try {
      await this.#look();
      while (lane.again && !this.#end.signal.aborted) {
        lane.again = false;
        if (waiting(this.#current.unsent, lane.bulky) !== undefined) await this.#alone(lane, () => this.#drain(lane));
        else this.#at(lane, "idle"); // somebody has given up what waited
      }
    } catch {
      this.#later(lane, 0); // the store or the lock failed; nothing is lost, and it is tried again
    } finally {
      lane.sending = false;
    }
  }

  async #alone(lane: Lane, f: () => Promise<void>): Promise<void> {
    const locks = typeof document === "undefined" ? undefined : (navigator as { readonly locks?: LockManager }).locks;
    if (locks === undefined) await f();
    else await locks.request(lane.lock, { signal: this.#end.signal }, f);
  }

  async #drain(lane: Lane): Promise<void> {
    for (;;) {
      await this.#look(); // another tab may have sent meanwhile
      const entry = waiting(this.#current.unsent, lane.bulky);
      if (entry === undefined || this.#end.signal.aborted) {
        this.#at(lane, "idle");
        return;
      }
      this.#at(lane, "sending");
      if (!(await this.#send(lane, entry))) return;
    }
  }

  /** Notes how a lane stands. What is told is how the entries stand that others wait for, as long as there are any. */
  #at(lane: Lane, state: OutboxState["state"]): void {
    lane.state = state;
    const [acts, bulky] = this.#lanes;
    this.#set({ state: acts.state === "idle" ? bulky.state : acts.state });
  }

  /** Sends one entry, and returns whether the next may follow at once. */
  async #send(lane: Lane, entry: Entry): Promise<boolean> {
    let response: Response;
    let answer: unknown;
    try {
      response = await this.#fetch(entry);
      answer = parse(await response.text());
    } catch {
      if (!this.#end.signal.aborted) this.#later(lane, 0); // no answer: it may have arrived, and the key makes the repeat harmless
      return false;
    }
    const { status } = response;
    if (status === 401) {
      this.#at(lane, "signed-out");
      return false;
    }
    if (status === 408 || status === 425 || status === 429 || status >= 500) {
      this.#later(lane, Number(response.headers.get("retry-after")) * 1000 || 0);
      return false;
    }
    lane.attempt = 0;
    const store = await this.#opened;
    if (response.ok) {
      await store.remove(entry.seq);
      this.#options.onSent?.(entry, answer);
    } else {
      const problem = field(answer, "error") ?? answer;
      const code = text(problem, "code") ?? `HTTP_${status}`;
      const message = text(problem, "message") ?? text(problem, "detail") ?? text(problem, "title") ?? "";
      await store.put(entry.seq, { ...strip(entry), refusal: { status, code, message, answer } });
    }
    await this.#changed();
    return true;
  }

  async #fetch(entry: Entry): Promise<Response> {
    const { url, token } = this.#options;
    const bearer = await token?.();
    const headers: Record<string, string> = { "idempotency-key": entry.key, accept: "application/json" };
    if (entry.body !== undefined) headers["content-type"] = "application/json";
    if (bearer !== undefined) headers["authorization"] = `Bearer ${bearer}`;
    const patience = new AbortController();
    const body = entry.body === undefined ? undefined : JSON.stringify(entry.body);
    const timer = setTimeout(() => patience.abort(), ANSWER_WAIT_MS + (body?.length ?? 0) / BYTES_A_MS);
    const give = () => patience.abort();
    this.#end.signal.addEventListener("abort", give);
    try {
      const send = this.#options.fetch ?? globalThis.fetch;
      const response = await send((url ?? "").replace(/\/$/, "") + entry.path, {
        method: entry.method,
        headers,
        credentials: bearer === undefined ? "include" : "omit",
        signal: patience.signal,
        ...(body !== undefined && { body }),
      });
      // The body is waited for as well: what breaks off in it is no answer.
      return new Response(response.status === 204 ? null : await response.text(), { status: response.status, headers: response.headers });
    } finally {
      clearTimeout(timer);
      this.#end.signal.removeEventListener("abort", give);
    }
  }

  /** Tries again after a while: with full jitter, for all tablets of a kitchen lose their line at once. */
  #later(lane: Lane, leastMs: number): void {
    const most = Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** Math.min(lane.attempt++, 10));
    this.#at(lane, "offline");
    clearTimeout(lane.timer);
    lane.timer = setTimeout(() => this.#go(lane), leastMs + Math.random() * most);
  }

  async #find(seq: number): Promise<Entry | undefined> {
    const stored = (await (await this.#opened).all()).find((s) => s.seq === seq);
    return stored && entryOf(stored);
  }

  async #changed(): Promise<void> {
    this.#port?.postMessage("changed");
    await this.#look();
  }

  /** Reads what is kept now. One look after the other, or one that was slower would show again what is gone. */
  #look(): Promise<void> {
    const look = this.#looking.then(() => this.#read());
    this.#looking = look.catch(() => undefined);
    return look;
  }

  async #read(): Promise<void> {
    if (this.#end.signal.aborted) return;
    const store = await this.#opened;
    const unsent = (await store.all()).map(entryOf);
    const same = told(unsent) === told(this.#current.unsent);
    this.#set({ durable: store.durable, ...(!same && { unsent }) });
  }

  #set(change: Partial<OutboxState>): void {
    const next = { ...this.#current, ...change };
    const same = (Object.keys(next) as (keyof OutboxState)[]).every((k) => next[k] === this.#current[k]);
    if (same || this.#end.signal.aborted) return;
    this.#current = next;
    for (const f of [...this.#listeners]) f(next);
  }
}

/** Returns what tells lists of entries apart: a body changes with its key only, and may be large. */
function told(unsent: readonly Entry[]): string {
  return JSON.stringify(unsent.map(({ seq, key, refusal }) => [seq, key, refusal]));
}

/** Returns the oldest entry of a lane that waits, and waits for no refused one of its group. */
export function waiting(unsent: readonly Entry[], bulky = false): Entry | undefined {
  const stopped = new Set<string>();
  for (const e of unsent) {
    if (e.refusal !== undefined) stopped.add(e.group);
    else if ((e.bulky === true) === bulky && !stopped.has(e.group)) return e;
  }
  return undefined;
}

/** Returns 128 random bits. randomUUID is not there on the http address of a kitchen's own network. */
function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

function entryOf(s: Stored): Entry {
  return { ...(s.entry as Omit<Entry, "seq">), seq: s.seq };
}

function strip(entry: Entry): Omit<Entry, "seq"> {
  const { seq: _, ...rest } = entry;
  return rest;
}
