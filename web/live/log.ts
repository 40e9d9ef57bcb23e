/** The log of what came, newest first. It can be paused: what is shown then stands still, and nothing is lost meanwhile. */

import { shown } from "./json.ts";
import type { Message } from "./frame.ts";

/** One line of the log. */
export interface Entry {
  readonly key: string;
  readonly channel: string;
  readonly time: number; // ms since 1970, by the server's clock
  readonly offset: number | undefined; // undefined: a gap
  readonly text: string;
  readonly gap: boolean;
}

export interface Log {
  readonly entries: readonly Entry[];
  /** What is shown while the log is paused; undefined: it is not. */
  readonly frozen: readonly Entry[] | undefined;
  /** How many came since it was paused. */
  readonly waiting: number;
  /** The channel that is shown; undefined: all. */
  readonly filter: string | undefined;
}

/** How many lines are kept. */
export const MAX_ENTRIES = 200;

/** How many characters of a message are shown. */
export const MAX_ENTRY_TEXT = 2000;

export const EMPTY_LOG: Log = { entries: [], frozen: undefined, waiting: 0, filter: undefined };

/** Adds a message. */
export function addMessage(log: Log, m: Message): Log {
  const { epoch, offset } = m.position;
  return add(log, { key: `${m.channel} ${epoch} ${offset}`, channel: m.channel, time: m.time, offset, text: shown(m.data, MAX_ENTRY_TEXT), gap: false });
}

/** Adds the line that says that messages may be missing. */
export function addGap(log: Log, channel: string, cause: string, time: number): Log {
  return add(log, { key: `${channel} gap ${time}`, channel, time, offset: undefined, text: cause, gap: true });
}

export function pause(log: Log, on: boolean): Log {
  return { ...log, frozen: on ? log.entries : undefined, waiting: 0 };
}

export function filter(log: Log, channel: string | undefined): Log {
  return { ...log, filter: channel };
}

/** Returns the lines to show. */
export function lines(log: Log): readonly Entry[] {
  const all = log.frozen ?? log.entries;
  return log.filter === undefined ? all : all.filter((e) => e.channel === log.filter);
}

/** History of several channels comes one after the other, so a line goes where its time says, before those of the same time. */
function add(log: Log, e: Entry): Log {
  const at = log.entries.findIndex((old) => old.time <= e.time);
  const i = at < 0 ? log.entries.length : at;
  if (i >= MAX_ENTRIES || log.entries.some((old) => old.key === e.key)) return log;
  const entries = [...log.entries.slice(0, i), e, ...log.entries.slice(i)].slice(0, MAX_ENTRIES);
  return { ...log, entries, waiting: log.frozen === undefined ? 0 : log.waiting + 1 };
}
