/**
 * One subscription: merges what comes over the line with what is read from the history, so that its listener gets each message of
 * its channel once, in order, or is told a gap. It does not matter whether the line is this tab's own or another one's, nor
 * since when the channel is followed: whoever finds that something is missing reads it by HTTP.
 */

import { KentonganError } from "./http.ts";
import type { Frame, Message, Page, Position, Subscribed } from "./frame.ts";

/** Something may be missing: what is known of the channel has to be fetched anew. */
export interface Gap<T = unknown> {
  readonly channel: string;
  /** `expired`, `epoch`, `ahead`, `intake`, `overloaded` …: docs/protocol.md has them. `snapshot`: nothing is missing, this is the beginning. */
  readonly cause: string;
  /** The next message follows this. */
  readonly position: Position;
  /** The newest message of each key, if a snapshot was asked for and the channel keeps one. It replaces the fetch. */
  readonly snapshot: readonly Message<T>[] | undefined;
}

export interface Listener<T = unknown> {
  /** Takes the next message. */
  message?: (message: Message<T>) => void;
  /**
   * Fetches the state anew, or takes the snapshot. If it returns a promise, messages wait for it; if that is rejected, it is called
   * again after a while, for what is shown is not known to be right until then.
   */
  gap?: (gap: Gap<T>) => unknown;
  /** The channel cannot be followed. With `temporary` it is tried again by itself. */
  error?: (problem: KentonganError) => void;
}

export interface FollowOptions {
  /** Go on from here, for example from where the page was rendered. */
  readonly since?: Position | undefined;
  /** Begin with the newest message of each key, and mend gaps with it. */
  readonly snapshot?: boolean | undefined;
}

/** What a subscription needs of the others. */
export interface Sources {
  readonly history: (channel: string, since: Position) => Promise<Page>;
  readonly snapshot: (channel: string) => Promise<Page>;
  /** It is in step now, or not any more. */
  readonly changed: () => void;
  /** Tells of a mistake in a listener. */
  readonly broken: (e: unknown) => void;
}

/** How many frames wait while something is fetched. More means that the fetch has to be done again. */
export const MAX_HELD = 1_000;
/** A fetch that failed is tried again after up to this, doubling up to the other. */
const RETRY_FIRST_MS = 1_000;
const RETRY_MOST_MS = 30_000;

/** Why a fetch is under way: `gap` has a cause to be told, `behind` misses what the history has. */
type Mending = { readonly kind: "gap"; readonly cause: string; readonly position: Position | undefined } | { readonly kind: "behind" };

export class Follow {
  /** The channel is followed on the line. */
  joined = false;
  #position: Position | undefined;
  #owed = 0; // messages up to this offset are on the way
  #counted = 0; // offset of the last heartbeat
  #parts: Message[] | undefined; // of a snapshot that is coming
  #mending: Mending | undefined;
  #held: Frame[] = [];
  #overflow = false;
  #ended = false;
  #told = false; // the last answer of inStep that was told
  #timer: ReturnType<typeof setTimeout> | undefined;

  readonly channel: string;
  readonly #listener: Listener;
  readonly options: FollowOptions;
  readonly #sources: Sources;

  constructor(channel: string, listener: Listener, options: FollowOptions, sources: Sources) {
    this.channel = channel;
    this.#listener = listener;
    this.options = options;
    this.#sources = sources;
    this.#position = options.since;
  }

  /** Where it is: all up to here was given to the listener. */
  at(): Position | undefined {
    return this.#position;
  }

  /** Reports whether the listener has everything that is known of. */
  inStep(): boolean {
    return this.joined && !this.#mending && (this.#position?.offset ?? 0) >= this.#owed;
  }

  /** The line is gone; what it owed is asked for anew. */
  lost(): void {
    this.joined = false;
    this.#owed = this.#counted = 0;
    this.#parts = undefined;
    this.#tell();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  refused(problem: KentonganError): void {
    this.#guard(() => this.#listener.error?.(problem));
    // What will never come is not waited for, or it would keep the others from being called fresh.
    if (!problem.temporary) this.joined = true;
    this.#tell();
  }

  /** Takes a frame of the line; asked: a snapshot was asked for there. */
  take(frame: Frame, asked: boolean): void {
    if (this.#ended) return;
    if (frame.kind === "subscribed" && frame.channel === this.channel) {
      this.joined = true;
      this.#subscribed(frame, asked);
    } else if (frame.kind === "snapshot" && frame.page.channel === this.channel) {
      if (this.options.snapshot) (this.#parts ??= []).push(...frame.page.messages);
    } else if (frame.kind === "heartbeat") this.#heartbeat(frame.offsets[this.channel]);
    else this.#offer(frame);
    this.#tell();
  }

  /** Takes what has its place in the order; it waits while something is fetched. */
  #offer(frame: Frame): void {
    const mine = frame.kind === "message" ? frame.message.channel : frame.kind === "gap" ? frame.channel : undefined;
    if (mine !== this.channel) return;
    if (this.#mending) {
      if (this.#held.push(frame) > MAX_HELD) {
        this.#held = [];
        this.#overflow = true;
      }
    } else if (frame.kind === "gap") this.#gap(frame.cause, frame.position);
    else if (frame.kind === "message") this.#message(frame.message);
  }

  #message(m: Message): void {
    const at = this.#position;
    // The history has this message as well, and what is missing before it; or it tells of a gap that we have not heard of.
    if (at && at.epoch !== m.position.epoch) return this.#behind();
    if (at && m.position.offset <= at.offset) return; // it was here before
    if (at && m.position.offset > at.offset + 1) return this.#behind();
    this.#position = m.position;
    this.#guard(() => this.#listener.message?.(m));
  }

  #subscribed(s: Subscribed, asked: boolean): void {
    const parts = this.#parts;
    this.#parts = undefined;
    if (this.#mending) return; // what comes after it is held, and a hole shows
    if (s.snapshot && s.position && this.options.snapshot) {
      this.#position = s.position;
      this.#mend({ kind: "gap", cause: s.gap ?? "snapshot", position: s.position }, parts ?? []);
    } else if (s.gap !== undefined && s.position) this.#gap(s.gap, s.position);
    else if (!this.#position) {
      if (this.options.snapshot && !asked) this.#mend({ kind: "gap", cause: "snapshot", position: s.position });
      else this.#position = s.position;
    } else if (!s.position) this.#owed = Infinity; // an event stream that goes on: its first heartbeat tells how far
    else if (s.position.epoch !== this.#position.epoch) this.#behind();
    else if (s.position.offset > this.#position.offset) {
      const from = s.from;
      const comes = s.recovered && from?.epoch === this.#position.epoch && from.offset <= this.#position.offset;
      if (comes) this.#owed = s.position.offset;
      else this.#behind();
    }
  }

  /** What one heartbeat counts in must have come by the next one, or it was lost on the way; not by the same, which may overtake. */
  #heartbeat(offset: number | undefined): void {
    if (offset === undefined) return;
    if (this.#owed === Infinity) this.#owed = offset;
    const counted = this.#counted;
    this.#counted = offset;
    if (this.joined && !this.#mending && this.#position && counted > this.#position.offset) this.#behind();
  }

  #gap(cause: string, position: Position): void {
    this.#position = position;
    this.#mend({ kind: "gap", cause, position });
  }

  #behind(): void {
    this.#mend({ kind: "behind" });
  }

  /** Fetches what is missing. Until it is here, what comes is held. */
  #mend(why: Mending, snapshot?: readonly Message[]): void {
    this.#mending = why;
    const attempt = (n: number) => {
      this.#fetch(snapshot).then(
        () => this.#mended(),
        (e: unknown) => {
          if (this.#ended) return;
          if (!(e instanceof KentonganError)) this.#sources.broken(e);
          const most = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** n);
          this.#timer = setTimeout(() => attempt(n + 1), most / 2 + (Math.random() * most) / 2);
        },
      );
    };
    attempt(0);
    this.#tell();
  }

  #mended(): void {
    if (this.#ended) return;
    this.#mending = undefined;
    const held = this.#held;
    const overflow = this.#overflow;
    this.#held = [];
    this.#overflow = false;
    let odd = overflow;
    for (const frame of held) {
      // Of another epoch: it was sent before what we have just read, or after it and is asked for once more.
      if (frame.kind === "message" && this.#position && frame.message.position.epoch !== this.#position.epoch) odd = true;
      else this.#offer(frame);
    }
    if (odd && !this.#mending) this.#behind();
    this.#tell();
  }

  async #fetch(snapshot: readonly Message[] | undefined): Promise<void> {
    if (this.#mending?.kind === "behind") await this.#catchUp();
    if (this.#mending?.kind === "gap") await this.#restart(this.#mending.cause, this.#mending.position, snapshot);
  }

  /** Reads what lies between our position and the head. */
  async #catchUp(): Promise<void> {
    for (let more = true; more && !this.#ended && this.#position; ) {
      const page = await this.#sources.history(this.channel, this.#position);
      if (this.#ended) return;
      if (page.gap !== undefined) {
        this.#mending = { kind: "gap", cause: page.gap, position: page.position };
        return;
      }
      for (const m of page.messages) {
        if (m.position.offset <= this.#position.offset) continue;
        this.#position = m.position;
        this.#guard(() => this.#listener.message?.(m));
      }
      more = page.more && page.messages.length > 0;
    }
  }

  /** Begins anew from a snapshot, or by what the listener fetches. */
  async #restart(cause: string, position: Position | undefined, snapshot?: readonly Message[]): Promise<void> {
    this.#owed = this.#counted = 0; // these counted in what is past now
    let at = position;
    let newest = snapshot;
    if (!newest && this.options.snapshot) {
      const page = await this.#sources.snapshot(this.channel).catch((e: unknown) => {
        if (e instanceof KentonganError && e.status === 400) return undefined; // this channel keeps none
        throw e;
      });
      newest = page?.messages;
      at = page?.position ?? at;
    }
    if (this.#ended) return;
    if (at) this.#position = at;
    // Where there was no snapshot to begin with, nothing is missing either.
    if (!at || (!newest && cause === "snapshot")) return;
    await this.#listener.gap?.({ channel: this.channel, cause, position: at, snapshot: newest });
  }

  #tell(): void {
    if (this.#told === (this.#told = this.inStep())) return;
    this.#sources.changed();
  }

  #guard(f: () => void): void {
    try {
      f();
    } catch (e) {
      this.#sources.broken(e);
    }
  }
}
