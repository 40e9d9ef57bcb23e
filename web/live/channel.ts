/** What is known of each channel that this page follows, and the names of a kitchen's channels. */

import type { Message, Position, Problem } from "./frame.ts";

export interface Channel {
  readonly name: string;
  /** Everything up to here was taken in: where a new connection resumes. Undefined: nothing was yet. */
  readonly seen: Position | undefined;
  /** Where the live messages go on. Between seen and here lies what is still to be read from the history. */
  readonly head: Position | undefined;
  readonly count: number;
  readonly newestAt: number | undefined; // ms since 1970, by the server's clock
  /** Why the server does not let this page follow the channel. */
  readonly problem: Problem | undefined;
}

export type Channels = ReadonlyMap<string, Channel>;

/** Returns a channel of which nothing is known yet. */
export function unseen(name: string): Channel {
  return { name, seen: undefined, head: undefined, count: 0, newestAt: undefined, problem: undefined };
}

/** How a live message stands to what was seen: the next, one that was seen already, or one after a hole. */
export function standing(c: Channel, p: Position): "next" | "seen" | "hole" {
  const from = c.head ?? c.seen;
  if (from === undefined) return "next";
  if (from.epoch !== p.epoch) return "hole";
  return p.offset <= from.offset ? "seen" : p.offset === from.offset + 1 ? "next" : "hole";
}

/** Reports whether a message of the history is one that was asked for: after what was seen, and not after the head. */
export function missing(c: Channel, p: Position): boolean {
  if (c.head === undefined || c.head.epoch !== p.epoch || p.offset > c.head.offset) return false;
  return c.seen === undefined || c.seen.epoch !== p.epoch || p.offset > c.seen.offset;
}

/** Counts a message that was taken in. */
export function counted(c: Channel, m: Message): Channel {
  return { ...c, count: c.count + 1, newestAt: Math.max(c.newestAt ?? 0, m.time) };
}

/** Reports whether offsets that the server has told lie beyond what has come. */
export function behind(channels: Channels, offsets: ReadonlyMap<string, number>): boolean {
  for (const [name, offset] of offsets) {
    const head = channels.get(name)?.head;
    if (head !== undefined && offset > head.offset) return true;
  }
  return false;
}

/** The channels of a kitchen, for those who look into a kitchen that is not their own and so are not told them. */
const SPELLINGS = [
  "production:updates:{tenant}",
  "production:alerts:{tenant}",
  "menu:updates:{tenant}",
  "inventory:updates:{tenant}",
  "distribution:updates:{tenant}",
  "hrd:updates:{tenant}",
  "procurement:updates:{tenant}",
  "notifications:{tenant}",
  "updates:{tenant}",
  "sppg:{tenant}:production:created",
  "dashboard-update-{tenant}",
  "notification-{tenant}",
  "system-alert",
];

/** Reports whether s can be the id of a kitchen. */
export function isTenant(s: string): boolean {
  return /^[A-Za-z0-9_-]{1,64}$/.test(s);
}

/** Returns the usual channels of a kitchen. */
export function channelsOf(tenant: string): string[] {
  return SPELLINGS.map((s) => s.replace("{tenant}", tenant));
}

/** Returns the name of a channel without the kitchen in it, for reading: "production:updates". */
export function label(channel: string, tenant: string): string {
  const at = tenant === "" ? -1 : channel.indexOf(tenant);
  if (at < 0) return channel;
  const before = channel.slice(0, at).replace(/[:_.-]$/, "");
  const short = before + channel.slice(at + tenant.length);
  return short === "" ? channel : short;
}
