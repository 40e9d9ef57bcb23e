/** How all kitchens stand, for somebody of the platform: read again and again, and never shown as the present once it is old. */

import { KentonganError } from "../client/src/http.ts";
import { field, fields, instant, list, text, whole } from "../client/src/json.ts";
import { DEFAULT_ZONE } from "./format.ts";
import type { Freshness } from "./freshness.ts";

/** What can be shown; the server has the same words. */
export const SHOWS = ["all", "alarming", "behind", "cooking", "unwatched"] as const;
export type Show = (typeof SHOWS)[number];

/** How one kitchen stands. What the server does not know is undefined, and never 0. */
export interface Standing {
  readonly id: string;
  readonly name: string;
  readonly zone: string;
  readonly open: number | undefined;
  readonly behind: number | undefined;
  readonly critical: number | undefined;
  readonly high: number | undefined;
  readonly medium: number | undefined;
  readonly low: number | undefined;
  readonly unanswered: number | undefined;
  readonly unansweredSince: number | undefined;
  readonly lastChange: number | undefined;
  readonly sessions: number | undefined;
  readonly people: number | undefined;
}

export interface Overview {
  readonly time: number; // when it was read, by the server's clock
  readonly counts: Readonly<Partial<Record<Show, number>>>;
  readonly kitchens: readonly Standing[]; // the worst first
  readonly more: boolean; // there are kitchens that are not in it
  readonly next: string | undefined; // where the server goes on
  /** So many kitchens are in trouble that not all were read: the worst on top are those of the ones that were. */
  readonly capped: boolean;
}

/** Reads the answer to GET /api/overview; undefined if it is none. */
export function readOverview(answer: unknown): Overview | undefined {
  const time = instant(answer, "time");
  if (time === undefined || !Array.isArray(field(answer, "kitchens"))) return undefined;
  const told = fields(field(answer, "counts"));
  const counts: Partial<Record<Show, number>> = {};
  for (const [show, name] of [["all", "kitchens"], ["alarming", "alarming"], ["behind", "behind"], ["cooking", "cooking"]] as const) {
    const n = whole(told, name);
    if (n !== undefined) counts[show] = n;
  }
  const kitchens = list(answer, "kitchens").flatMap((k) => {
    const id = text(k, "sppgId");
    return id === undefined ? [] : [readStanding(k, id)];
  });
  const next = text(answer, "next");
  return { time, counts, kitchens: kitchens.sort(byTrouble), more: next !== undefined, next, capped: false };
}

/** Which of the kitchens in trouble a filter shows; they are read beside its own page, which the server orders by id. */
const BELONGS: Readonly<Record<"all" | "cooking", (s: Standing) => boolean>> = { all: () => true, cooking: (s) => (s.open ?? 0) > 0 };

/**
 * Returns the worst of what several answers tell, limit kitchens at most. The later answer counts of those that are in two; the time is
 * that of the oldest.
 */
export function worstOf(parts: readonly Overview[], show: Show, limit: number, capped: boolean): Overview | undefined {
  const last = parts[parts.length - 1];
  if (last === undefined) return undefined;
  const byId = new Map<string, Standing>();
  for (const part of parts) for (const s of part.kitchens) byId.set(s.id, s);
  const belongs = show === "all" || show === "cooking" ? BELONGS[show] : () => true;
  const kitchens = [...byId.values()].filter(belongs).sort(byTrouble);
  return {
    ...last, time: Math.min(...parts.map((p) => p.time)), kitchens: kitchens.slice(0, limit),
    more: last.next !== undefined || kitchens.length > limit, capped,
  };
}

function readStanding(k: unknown, id: string): Standing {
  const n = (name: string) => whole(k, name);
  const name = text(k, "name") ?? "";
  return {
    id, name: name === "" ? id : name, zone: text(k, "timeZone") ?? DEFAULT_ZONE,
    open: n("open"), behind: n("behind"), critical: n("critical"), high: n("high"), medium: n("medium"), low: n("low"),
    unanswered: n("unanswered"), unansweredSince: instant(k, "unansweredSince"), lastChange: instant(k, "lastChange"),
    sessions: n("sessions"), people: n("people"),
  };
}

/** Orders by what needs somebody most: unanswered alarms, then grave alerts, then delay, then kitchens that cook unseen; then by name. */
export function byTrouble(a: Standing, b: Standing): number {
  const worth = (s: Standing) => [s.critical, s.unanswered, s.high, s.behind, unseen(s) ? 1 : 0, s.medium, s.open].map((n) => n ?? 0);
  const [of, to] = [worth(a), worth(b)];
  for (const [i, n] of of.entries()) if (n !== to[i]) return (to[i] ?? 0) - n;
  return a.name.localeCompare(b.name, "id") || (a.id < b.id ? -1 : 1);
}

/** Reports whether food is made where no screen is connected. */
export function unseen(s: Standing): boolean {
  return s.sessions === 0 && (s.open ?? 0) > 0;
}

/** Returns the tone of a kitchen: red for what must not wait, amber for what somebody should look at, grey for one that rests. */
export function toneOfStanding(s: Standing): "bad" | "watch" | "good" | "plain" {
  if ((s.critical ?? 0) > 0 || (s.high ?? 0) > 0) return "bad";
  if ((s.behind ?? 0) > 0 || (s.medium ?? 0) > 0 || unseen(s)) return "watch";
  return (s.open ?? 0) > 0 ? "good" : "plain";
}

export interface OperatorState {
  readonly show: Show;
  /** A part of the name or id of the kitchens that are wanted; empty: all. */
  readonly text: string;
  readonly overview: Overview | undefined; // of another filter than show while its answer is on the way
  readonly fresh: Freshness;
}

export const NO_OVERVIEW: OperatorState = { show: "all", text: "", overview: undefined, fresh: { lamp: "connecting", old: true, since: undefined } };

/** The server is asked again so long after its answer; so old may an answer be; so many kitchens are one page, and the most of them. */
const ASK_EVERY_MS = 5_000;
const OLD_AFTER_MS = 15_000;
const PAGE = 100;
const MOST = 500;
/** Of the kitchens that alarm, and of those that are behind, so many are read, a server's page at a time: the worst of all stand on top. */
export const MOST_TROUBLED = 2_000;
const SERVER_PAGE = 500;
/** Who types has stopped after this. */
const TYPED_MS = 300;

export interface OperatorOptions {
  readonly read: (path: string) => Promise<unknown>;
  readonly onState: (s: OperatorState) => void;
  /** What the server refuses for good: the session is over, or its rights. */
  readonly onRefused: (e: KentonganError) => void;
  /** Nobody looks: nothing is asked until wake is called. */
  readonly hidden: () => boolean;
}

export class Operator {
  readonly #options: OperatorOptions;
  #state = NO_OVERVIEW;
  #limit = PAGE;
  #answered: number | undefined; // by this device's clock
  #skew = 0;
  #run = 0;
  #next: ReturnType<typeof setTimeout> | undefined;
  #aging: ReturnType<typeof setTimeout> | undefined;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /** The server's time. */
  now(): number {
    return Date.now() + this.#skew;
  }

  /** Shows other kitchens. */
  show(show: Show): void {
    this.#limit = PAGE;
    this.#set({ show });
    this.wake();
  }

  /** Shows kitchens whose name or id has this in it. It asks once nobody types any more. */
  search(text: string): void {
    this.#limit = PAGE;
    this.#run++; // what was asked before is of another text
    this.#set({ text });
    clearTimeout(this.#next);
    this.#next = setTimeout(this.wake, TYPED_MS);
  }

  /** Shows more kitchens; false if these are the most that one screen has. */
  more(): boolean {
    if (this.#limit >= MOST) return false;
    this.#limit = Math.min(MOST, this.#limit + PAGE);
    this.wake();
    return true;
  }

  /** Asks now. What was asked before is not waited for. */
  wake = (): void => {
    clearTimeout(this.#next);
    void this.#ask(++this.#run);
  };

  close(): void {
    this.#run++;
    clearTimeout(this.#next);
    clearTimeout(this.#aging);
  }

  async #ask(run: number): Promise<void> {
    if (this.#options.hidden()) return;
    const { show } = this.#state;
    try {
      const parts: Overview[] = [];
      let capped = false;
      for (const trouble of show === "all" || show === "cooking" ? (["alarming", "behind"] as const) : [show]) {
        const pages = await this.#pages(trouble, run);
        parts.push(...pages);
        capped ||= pages[pages.length - 1]?.next !== undefined;
      }
      if (show === "all" || show === "cooking") parts.push(await this.#read(show, this.#limit));
      if (run !== this.#run) return;
      const overview = worstOf(parts, show, this.#limit, capped);
      if (overview === undefined) return;
      this.#answered = Date.now();
      this.#skew = (parts[parts.length - 1]?.time ?? overview.time) - this.#answered; // of the answer that has just come
      this.#set({ overview });
      clearTimeout(this.#aging);
      this.#aging = setTimeout(() => this.#set({}), OLD_AFTER_MS);
    } catch (e) {
      if (run !== this.#run) return;
      this.#set({});
      if (e instanceof KentonganError && (e.status === 401 || e.status === 403)) {
        this.#options.onRefused(e);
        return;
      }
    }
    this.#next = setTimeout(this.wake, ASK_EVERY_MS);
  }

  /** Reads all that a filter shows, or as much of it as is read. */
  async #pages(show: Show, run: number): Promise<Overview[]> {
    const pages: Overview[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#read(show, SERVER_PAGE, cursor);
      pages.push(page);
      cursor = page.next;
    } while (cursor !== undefined && pages.length * SERVER_PAGE < MOST_TROUBLED && run === this.#run);
    return pages;
  }

  async #read(show: Show, limit: number, cursor?: string): Promise<Overview> {
    const { text } = this.#state;
    const like = text === "" ? "" : `&q=${encodeURIComponent(text)}`;
    const from = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const overview = readOverview(await this.#options.read(`/api/overview?show=${show}&limit=${limit}${like}${from}`));
    if (overview === undefined) throw new KentonganError(0, "UNEXPECTED", "the overview has not the shape that it should have", true);
    return overview;
  }

  #set(change: Partial<OperatorState>): void {
    const next = { ...this.#state, ...change };
    const age = this.#answered === undefined ? Infinity : Date.now() - this.#answered;
    const old = age >= OLD_AFTER_MS;
    const lamp = !old ? "connected" : this.#answered === undefined ? "connecting" : "disconnected";
    this.#state = { ...next, fresh: { lamp, old, since: next.overview?.time } };
    this.#options.onState(this.#state);
  }
}
