/**
 * What people have entered and the server does not have yet: an outbox of the client, before it one entry that can still be taken back,
 * beside it the PINs, which are kept in memory alone. A version conflict in which nothing changed that the entry overwrites is
 * no conflict: it is sent again with the new version.
 */

import { createOutbox, type Entry, type Outbox, type OutboxOptions, type OutboxState } from "../client/src/outbox.ts";
import { field, fields, parse, text, whole } from "../client/src/json.ts";
import { alreadySo, basisHolds, outgoing, readKept, type Draft, type Kept } from "./entries.ts";

/** So long an entry can be taken back. */
export const UNDO_MS = 10_000;

/** A person who has shown by PIN that they stand at this tablet. */
export interface Person {
  readonly id: string;
  readonly pin: string;
}

/** The entry that can still be taken back. */
export interface Pending {
  readonly draft: Draft;
  readonly until: number; // by this device's clock
}

export interface QueueState {
  readonly pending: Pending | undefined;
  readonly unsent: readonly Entry[];
  readonly sending: OutboxState["state"];
  readonly durable: boolean;
  /** How many have no place on the server yet, the pending one included. */
  readonly count: number;
}

export interface QueueOptions {
  /** Whose entries these are: kitchen and user. */
  readonly name: string;
  /** Returns the newest version of a batch that is known. */
  readonly version: (batchId: string) => number | undefined;
  /** Reads a batch from the server; undefined if that is not possible now. */
  readonly read: (batchId: string) => Promise<unknown>;
  /** The server has taken an entry, with this answer. */
  readonly onSent: (kept: Kept | undefined, answer: unknown) => void;
  /** The server has refused a step, of which nothing else of its batch depends. It is gone from the queue. */
  readonly onRefused: (kept: Kept, answer: unknown) => void;
  readonly onState: (s: QueueState) => void;
  readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | undefined;
  readonly outbox?: ((o: OutboxOptions) => Outbox) | undefined; // for tests
  readonly fetch?: typeof fetch | undefined;
}

interface Held {
  readonly draft: Draft;
  readonly key: string;
  readonly takenAt: number;
  readonly until: number;
}

export class Queue {
  readonly #options: QueueOptions;
  readonly #outbox: Outbox;
  readonly #pins = new Map<string, Person>(); // by the tags of entries
  readonly #judged = new Set<string>(); // keys of refused entries that were looked at
  readonly #place: string;
  readonly #off: (() => void)[] = [];
  #held: Held | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: QueueOptions) {
    this.#options = options;
    this.#place = `kentongan.pending ${options.name}`;
    this.#outbox = (options.outbox ?? createOutbox)({
      name: options.name,
      fetch: (url, init) => this.#carry(url as string, init),
      onSent: (entry, answer) => {
        const kept = readKept(entry.body);
        this.#pins.delete(kept?.note.tag ?? "");
        options.onSent(kept, answer);
      },
    });
    this.#off.push(this.#outbox.onState(() => {
      this.#tell();
      void this.#judge();
    }));
    // The page may have been closed while an entry could still be taken back.
    const left = readHeld(parse(this.#load() ?? ""));
    if (left !== undefined) void this.#commit(left);
    if (typeof document !== "undefined") {
      const hide = () => document.visibilityState === "hidden" && this.sendNow();
      document.addEventListener("visibilitychange", hide);
      this.#off.push(() => document.removeEventListener("visibilitychange", hide));
    }
    this.#tell();
  }

  /** Takes an entry. It throws if no more can be kept. */
  async enter(draft: Draft, person?: Person, undo = draft.undo): Promise<void> {
    this.sendNow(); // what was entered before comes before
    const now = Date.now();
    const held: Held = { draft, key: crypto.randomUUID(), takenAt: now, until: now + UNDO_MS };
    if (person !== undefined) this.#pins.set(held.key, person);
    if (!undo) {
      await this.#commit(held);
      return;
    }
    this.#held = held;
    this.#options.storage?.setItem(this.#place, JSON.stringify(held));
    this.#timer = setTimeout(() => this.sendNow(), UNDO_MS);
    this.#tell();
  }

  /** Takes the pending entry back. */
  undo(): void {
    if (this.#held !== undefined) this.#pins.delete(this.#held.key);
    this.#forget();
    this.#options.storage?.removeItem(this.#place);
    this.#tell();
  }

  /** Sends the pending entry now. */
  sendNow(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#forget();
    void this.#commit(held);
  }

  /** Tries again at once, for example after signing in. */
  flush(): void {
    this.#outbox.flush();
  }

  /** Sends a refused entry again: with a person's PIN, or over what somebody else has written. */
  async again(entry: Entry, person?: Person): Promise<void> {
    this.#judged.delete(entry.key);
    const kept = readKept(entry.body);
    if (person !== undefined && kept !== undefined) this.#pins.set(kept.note.tag, person);
    const batch = kept?.note.batchId;
    if (kept !== undefined && kept.note.basis !== undefined && batch !== undefined && entry.refusal?.code === "VERSION_CONFLICT") {
      const row = await this.#options.read(batch);
      const version = whole(row, "version") ?? whole(entry.refusal.answer, "currentVersion") ?? this.#options.version(batch);
      await this.#rebase(entry, kept, version);
    } else {
      await this.#outbox.retry(entry.seq);
    }
  }

  /** Gives a refused entry up. */
  async remove(entry: Entry): Promise<void> {
    this.#pins.delete(readKept(entry.body)?.note.tag ?? "");
    await this.#outbox.remove(entry.seq);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const off of this.#off) off();
    this.#outbox.close();
  }

  async #commit(held: Held): Promise<void> {
    const { batchId, basis } = held.draft;
    let version: number | undefined;
    if (basis !== undefined && batchId !== undefined) {
      // Each entry before this one makes the version grow by one. Photos are overtaken.
      const before = this.#outbox.state().unsent.filter((e) => e.bulky !== true && readKept(e.body)?.note.batchId === batchId && !e.path.startsWith("/api/alerts/"));
      const known = this.#options.version(batchId);
      version = known === undefined ? undefined : known + before.length;
    }
    await this.#outbox.add(outgoing(held.draft, held.key, version, held.takenAt));
    if (readHeld(parse(this.#load() ?? ""))?.key === held.key) this.#options.storage?.removeItem(this.#place);
    this.#tell();
  }

  #forget(): void {
    clearTimeout(this.#timer);
    this.#held = undefined;
  }

  #load(): string | null {
    return this.#options.storage?.getItem(this.#place) ?? null;
  }

  /** Sends what the outbox has kept as what the server wants. PINs ride along and are kept nowhere. */
  async #carry(url: string, init: RequestInit | undefined): Promise<Response> {
    const headers = new Headers(init?.headers);
    const kept = readKept(parse(String(init?.body ?? "")));
    const person = this.#pins.get(kept?.note.tag ?? "");
    headers.set("device-time", new Date().toISOString());
    if (person !== undefined) {
      headers.set("person-id", person.id);
      headers.set("person-pin", person.pin);
    }
    const body = kept === undefined ? (init?.body ?? null) : JSON.stringify(kept.send);
    return (this.#options.fetch ?? globalThis.fetch)(url, { ...init, headers, body });
  }

  /** Looks at entries that were refused since the last look. */
  async #judge(): Promise<void> {
    for (const entry of this.#outbox.state().unsent) {
      if (entry.refusal === undefined || this.#judged.has(entry.key)) continue;
      this.#judged.add(entry.key);
      const kept = readKept(entry.body);
      if (kept === undefined) continue;
      const { code } = entry.refusal; // NO_SUCH_STEP: somebody else's step came in between look and tap, so that the version was the new one
      if (code === "VERSION_CONFLICT" || code === "NO_SUCH_STEP") await this.#mend(entry, kept, code === "VERSION_CONFLICT");
      else if (code === "GUARDS_UNMET" && this.#last(entry)) {
        await this.#outbox.remove(entry.seq); // nothing was written: it is as if nobody had tapped, and a person is told why
        this.#options.onRefused(kept, entry.refusal.answer);
      }
    }
  }

  #last(entry: Entry): boolean {
    return !this.#outbox.state().unsent.some((e) => e.group === entry.group && e.seq > entry.seq);
  }

  async #mend(entry: Entry, kept: Kept, outdated: boolean): Promise<void> {
    const batch = kept.note.batchId;
    const row = batch === undefined ? undefined : await this.#options.read(batch);
    if (row === undefined) {
      this.#judged.delete(entry.key); // not now: it is looked at again with the next change
      return;
    }
    if (alreadySo(kept, row)) await this.#outbox.remove(entry.seq); // two have tapped the same: both have what they wanted
    else if (outdated && basisHolds(kept.note.basis, row)) await this.#rebase(entry, kept, whole(row, "version"));
  }

  async #rebase(entry: Entry, kept: Kept, version: number | undefined): Promise<void> {
    await this.#outbox.retry(entry.seq, { body: { ...kept, send: { ...kept.send, ...(version !== undefined && { version }) } } satisfies Kept });
  }

  #tell(): void {
    const { unsent, state, durable } = this.#outbox.state();
    const pending = this.#held && { draft: this.#held.draft, until: this.#held.until };
    this.#options.onState({ pending, unsent, sending: state, durable, count: unsent.length + (pending === undefined ? 0 : 1) });
  }
}

function readHeld(v: unknown): Held | undefined {
  const draft = fields(field(v, "draft"));
  const key = text(v, "key");
  const takenAt = whole(v, "takenAt");
  if (draft === undefined || key === undefined || takenAt === undefined || text(draft, "path") === undefined) return undefined;
  return { draft: draft as unknown as Draft, key, takenAt, until: 0 };
}
