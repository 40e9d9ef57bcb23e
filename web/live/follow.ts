/**
 * Following all channels of the kitchen on one open connection: subscribe from where we were, read the newest part of the
 * history where that cannot be continued, and hold what comes meanwhile, so that everything is taken in in order.
 */

import { behind, type Channel, type Channels } from "./channel.ts";
import type { Frame, Position, Problem } from "./frame.ts";

/**
 * How many messages of a channel are read from its history: all that a server keeps if it was not told otherwise, for what
 * was said of a batch when it was created may lie that far back. It is 175 KB at most, and 20 KB compressed.
 */
export const HISTORY = 500;

/** How many messages of a channel are held while its history is on the way. More means that we are too slow to follow anyhow. */
export const MAX_HELD = 1000;

/** A channel that could not be followed for a passing reason is tried again after this. */
export const AGAIN_AFTER_MS = 5_000;

export interface FollowOptions {
  /** Sends one frame; it may go nowhere. */
  readonly send: (frame: string) => void;
  /** What is known of the channels now. */
  readonly channels: () => Channels;
  /** Takes a frame into the state. */
  readonly take: (frame: Frame) => void;
  /** Tells that the server does not let us follow a channel. */
  readonly refused: (channel: string, problem: Problem) => void;
  /** Tells that there is no history to read for a channel. */
  readonly caughtUp: (channel: string) => void;
  /** Tells whether everything is followed and has come. */
  readonly synced: (on: boolean) => void;
  /** Tells that messages are missing, which only a new connection can mend. */
  readonly lost: () => void;
  /** Runs f after ms, unless the connection has ended by then. */
  readonly later: (ms: number, f: () => void) => void;
}

interface Command {
  readonly verb: "subscribe" | "history";
  readonly channel: string;
  readonly whole: boolean; // history: all that is held was asked for
}

/** Follow is for one connection; the next connection has its own. */
export class Follow {
  private readonly commands = new Map<number, Command>();
  private readonly held = new Map<string, Frame[]>();
  private readonly unanswered = new Set<string>();
  private owed: ReadonlyMap<string, number> = new Map(); // offsets of the last heartbeat
  private nextId = 1;

  constructor(private readonly options: FollowOptions) {}

  /** Subscribes to all channels. It is called once, when the connection is open. */
  start(): void {
    for (const channel of this.options.channels().values()) this.subscribe(channel);
    this.tellSynced();
  }

  /** Asks for a sign of life. */
  probe(): void {
    this.send({ ping: {} });
  }

  /** Takes one frame of the server. */
  take(frame: Frame): void {
    switch (frame.kind) {
      case "message":
        this.takeMessage(frame.message.channel, frame);
        return;
      case "subscribed":
        this.options.take(frame);
        this.settle("subscribe", frame.channel);
        this.unanswered.delete(frame.channel);
        this.catchUp(frame.channel, frame.position);
        this.tellSynced();
        return;
      case "gap":
        this.owed = new Map(); // these counted in what is past now
        this.options.take(frame);
        this.catchUp(frame.channel, frame.position);
        this.tellSynced();
        return;
      case "history":
        this.takeHistory(frame);
        return;
      case "error":
        this.takeError(frame.id, frame.problem);
        return;
      case "heartbeat":
        this.options.take(frame);
        this.checkHeartbeat(frame.offsets);
        return;
      case "unsubscribed":
      case "stale":
      case "fresh":
      case "goaway":
      case "other":
        this.options.take(frame);
        return;
    }
  }

  private subscribe(channel: Channel): void {
    this.unanswered.add(channel.name);
    const command = { channel: channel.name, ...(channel.seen === undefined ? {} : { since: channel.seen }) };
    this.commands.set(this.send({ subscribe: command }), { verb: "subscribe", channel: channel.name, whole: false });
  }

  /** Reads what lies between what was seen and the head; nothing if these are the same. */
  private catchUp(name: string, head: Position): void {
    const channel = this.options.channels().get(name);
    if (channel === undefined || channel.head === channel.seen) return;
    if (head.offset === 0) {
      this.options.caughtUp(name);
      return;
    }
    if (!this.held.has(name)) this.held.set(name, []);
    this.history(name, { epoch: head.epoch, offset: Math.max(0, head.offset - HISTORY) });
  }

  private history(channel: string, since: Position | undefined): void {
    const command = { channel, limit: HISTORY, ...(since === undefined ? {} : { since }) };
    this.commands.set(this.send({ history: command }), { verb: "history", channel, whole: since === undefined });
  }

  /**
   * What one heartbeat counts in must have come by the next one, or it was lost on the way. Not by the same one, which may
   * overtake the messages of a resume.
   */
  private checkHeartbeat(offsets: ReadonlyMap<string, number>): void {
    if (offsets.size === 0) return; // a pong or a welcome
    const lost = this.complete() && behind(this.options.channels(), this.owed);
    this.owed = offsets;
    if (lost) this.options.lost();
  }

  private takeMessage(channel: string, frame: Frame): void {
    const held = this.held.get(channel);
    if (held === undefined) this.options.take(frame);
    else if (held.push(frame) > MAX_HELD) this.options.lost();
  }

  private takeHistory(frame: Frame & { readonly kind: "history" }): void {
    const command = this.settle("history", frame.channel);
    if (frame.cause !== undefined && command?.whole === false) {
      this.history(frame.channel, undefined); // fewer are held than we asked for: then all that are
      return;
    }
    this.options.take(frame);
    this.release(frame.channel);
  }

  private takeError(id: number, problem: Problem): void {
    const command = this.commands.get(id);
    if (command === undefined) return;
    this.commands.delete(id);
    if (command.verb === "history") {
      this.options.caughtUp(command.channel);
      this.release(command.channel);
      return;
    }
    this.options.refused(command.channel, problem);
    if (problem.temporary) {
      this.options.later(AGAIN_AFTER_MS, () => {
        const channel = this.options.channels().get(command.channel);
        if (channel !== undefined) this.subscribe(channel);
      });
      return;
    }
    this.unanswered.delete(command.channel);
    this.tellSynced();
  }

  private release(channel: string): void {
    const held = this.held.get(channel) ?? [];
    this.held.delete(channel);
    for (const frame of held) this.options.take(frame);
    this.tellSynced();
  }

  private complete(): boolean {
    return this.unanswered.size === 0 && this.held.size === 0;
  }

  private tellSynced(): void {
    this.options.synced(this.complete());
  }

  /** Takes the oldest command of this sort off the list: answers name the channel, and come in the order of the commands. */
  private settle(verb: Command["verb"], channel: string): Command | undefined {
    for (const [id, c] of this.commands) {
      if (c.verb === verb && c.channel === channel) {
        this.commands.delete(id);
        return c;
      }
    }
    return undefined;
  }

  private send(command: object): number {
    const id = this.nextId++;
    this.options.send(JSON.stringify({ id, ...command }));
    return id;
  }
}
