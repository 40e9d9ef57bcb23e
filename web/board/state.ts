/** The state of the page, and the parts that change it: session, line, queue, alarm. Views read it and call these functions. */

import { createClient, INITIAL_STATUS, type Client, type Status, type Subscription } from "../client/src/client.ts";
import { tabs } from "../client/src/tabs.ts";
import { KentonganError } from "../client/src/http.ts";
import { field, parse, text } from "../client/src/json.ts";
import { applyEvent, applySnapshot, fold, keep, NO_KITCHEN, readEvent, readKept, readSnapshot, withoutPast, type Alert, type Kitchen, type Production } from "./kitchen.ts";
import { Format } from "./format.ts";
import { freshness, type Freshness } from "./freshness.ts";
import { cutLine, NO_SETTING, read, readSetting, signOut, type Setting } from "./api.ts";
import { may } from "./rights.ts";
import { Queue, type Person, type QueueState } from "./queue.ts";
import { NO_OVERVIEW, Operator, type OperatorState } from "./operator.ts";
import { gradeOf, Siren, soundKey, sounding, stillSilenced } from "./alarm.ts";
import { withRecords } from "./hints.ts";
import { readKept as readEntry, type Draft, type Kept } from "./entries.ts";
import type { Language } from "./words.ts";

export type View = "wall" | "tablet" | "day";

/** Why there is no board of a kitchen to see; "all": somebody of the platform looks at all of them. */
export type Gate = "signed-out" | "no-kitchen" | "refused" | "unreachable" | "all";

export interface Session {
  readonly kitchen: string;
  readonly user: string;
  readonly role: string;
  /** A platform role looks into a kitchen that is not its own: it reads, and writes nothing. */
  readonly visiting: boolean;
}

/** What the server said to a step, to be shown at its batch. */
export interface Refused {
  readonly batchId: string | undefined;
  readonly kept: Kept;
  readonly answer: unknown;
}

export interface State {
  readonly language: Language;
  readonly view: View;
  readonly place: string; // within the view: "", "unsent", or "b/" and the id of a batch
  readonly session: Session | undefined;
  readonly gate: Gate | undefined;
  readonly all: OperatorState;
  readonly setting: Setting;
  readonly kitchen: Kitchen;
  readonly complete: ReadonlySet<string>; // batches whose checks were read
  readonly status: Status;
  readonly fresh: Freshness;
  readonly queue: QueueState;
  readonly refused: Refused | undefined;
  readonly sent: { readonly kept: Kept; readonly at: number } | undefined;
  /** The server is the demo, and has a line that can be cut; until: it is cut so long, by this device's clock. */
  readonly demo: { readonly until: number | undefined } | undefined;
  /** What was just entered could not be kept. */
  readonly full: boolean;
  readonly silenced: ReadonlySet<string>;
  readonly sound: boolean;
  readonly person: (Person & { readonly name: string; readonly role: string }) | undefined;
}

const NO_QUEUE: QueueState = { pending: undefined, unsent: [], sending: "idle", durable: true, count: 0 };
const NO_FRESHNESS: Freshness = { lamp: "connecting", old: true, since: undefined };

/** A person stays at a shared tablet for so long after the last thing they did: the checks of one batch, not the next person's. */
const PERSON_MS = 120_000;
/** What is kept for a start without a line is written so often at most. */
const KEEP_EVERY_MS = 5_000;
/** Batches that are over stay for a day after their serving day, as in a snapshot. */
const DAY_MS = 86_400_000;
/** The demo cuts a line for so long: data is old after 15 s, then there is time to enter something. */
const CUT_MS = 90_000;
/** The board asks again who it is after this, as long as the server is not reached. */
const ASK_AGAIN_MS = 3_000;

/** What was asked for, and what was known then. */
interface Asked {
  readonly before: Kitchen;
  readonly answers: Promise<readonly [unknown, unknown, unknown]>;
}

/** Storage of the browser, or undefined where there is none. */
function storage(): Storage | undefined {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined;
  }
}

function rememberedLanguage(): Language {
  return storage()?.getItem("kentongan.language") === "en" ? "en" : "id";
}

/** The page of a demo says so. */
function isDemo(): boolean {
  return document.documentElement.hasAttribute("data-demo");
}

/** Holds the state, and tells who listens when there is a new one. */
export class Board {
  #state: State;
  readonly #listeners = new Set<() => void>();
  readonly #siren = new Siren(() => this.#set({ sound: this.#siren.on }));
  readonly #chosen: string | undefined;
  readonly #path: (path: string) => string;
  operator: Operator | undefined; // there while all kitchens are shown
  #client: Client | undefined;
  #queue: Queue | undefined;
  #subscriptions: Subscription[] = [];
  #loadedAt: number | undefined; // by this device's clock: how wrong that is may be known only later
  #keptSkewMs = 0;
  #unreached = false;
  #keeping: ReturnType<typeof setTimeout> | undefined;
  #leaving: ReturnType<typeof setTimeout> | undefined;
  #asking: ReturnType<typeof setTimeout> | undefined;
  #mending: ReturnType<typeof setTimeout> | undefined;
  #settings: { readonly settings: unknown; readonly references: unknown } | undefined;
  #run = 0;

  constructor(route: { readonly view: View; readonly place: string }, chosen: string | undefined) {
    this.#chosen = chosen;
    this.#path = (path) => (chosen === undefined ? path : `${path}${path.includes("?") ? "&" : "?"}tenant=${encodeURIComponent(chosen)}`);
    this.#state = {
      language: rememberedLanguage(), ...route, session: undefined, gate: undefined, all: NO_OVERVIEW, setting: NO_SETTING, kitchen: NO_KITCHEN,
      complete: new Set(), status: INITIAL_STATUS, fresh: NO_FRESHNESS, queue: NO_QUEUE, refused: undefined, sent: undefined, demo: isDemo() ? { until: undefined } : undefined, full: false, silenced: new Set(), sound: false,
      person: undefined,
    };
  }

  state = (): State => this.#state;

  onState = (f: () => void): (() => void) => {
    this.#listeners.add(f);
    return () => this.#listeners.delete(f);
  };

  /** The server's time. */
  now = (): number => this.operator?.now() ?? this.told(Date.now());

  /** Returns the server's time at an instant of this device's clock. */
  told = (at: number): number => at + this.#skew(this.#state.status);

  /** Returns how far the server's clock is ahead: as it has told this page, and before it has, as it told the page before. */
  #skew(status: Status): number {
    return this.#client === undefined || status.freshAt === undefined ? this.#keptSkewMs : this.#client.now() - Date.now();
  }

  /** Returns the path of a route for the kitchen that is looked at. */
  path = (path: string): string => this.#path(path);

  /** Asks who we are, and begins to follow. What was kept from last time is shown meanwhile, as old. */
  async start(): Promise<void> {
    let run = ++this.#run;
    clearTimeout(this.#asking);
    const client = (this.#client ??= this.#open());
    const known = this.#state.session ?? this.#remember();
    if (known !== undefined && this.#state.session === undefined) this.#enter(known);
    let early: Asked | undefined = this.#ask(); // on a slow line each round trip counts
    try {
      const info = await client.info();
      if (run !== this.#run) return;
      this.#reached(true);
      if (info.sppgId === undefined && this.#chosen === undefined) return this.#look();
      // Somebody of a kitchen has opened the address of another one: nothing of it is shown, and not their own in its place either.
      if (info.sppgId !== undefined && this.#chosen !== undefined && info.sppgId !== this.#chosen) return this.#bar("refused");
      const session = {
        kitchen: info.sppgId ?? this.#chosen ?? "", user: info.userId ?? "", role: info.role ?? "", visiting: info.sppgId === undefined,
      };
      if (known !== undefined && (known.kitchen !== session.kitchen || known.user !== session.user || known.role !== session.role)) {
        this.#forget();
        run = this.#run;
        early = undefined; // what was known when it was asked for was another one's
      }
      if (this.#state.session === undefined) this.#enter(session);
      this.#set({ gate: undefined });
      await this.#begin(run, early);
    } catch (e) {
      if (run !== this.#run) return;
      this.#failed(e);
    }
  }

  /** Shows all kitchens, to somebody who belongs to none. */
  #look(): void {
    this.#bar("all");
    this.operator ??= new Operator({
      read,
      hidden: () => document.visibilityState === "hidden",
      onState: (all) => this.#set({ all, fresh: all.fresh }),
      onRefused: (e) => {
        document.removeEventListener("visibilitychange", this.#seen);
        this.operator?.close();
        this.operator = undefined;
        this.#failed(e);
      },
    });
    document.addEventListener("visibilitychange", this.#seen);
    this.operator.wake();
  }

  #seen = (): void => {
    if (document.visibilityState === "visible") this.operator?.wake();
  };

  #open(): Client {
    // All tabs of one person share a line. Another person, or the same one with other rights, is told other things.
    const scope = () => JSON.stringify([this.#state.session?.kitchen, this.#state.session?.user, this.#state.session?.role]);
    const client = createClient({ tenant: this.#chosen, share: (server, line) => tabs(scope())(server, line) });
    client.onStatus((status) => this.#line(status));
    return client;
  }

  #failed(e: unknown): void {
    const status = e instanceof KentonganError ? e.status : 0;
    if (status === 401) return this.#bar("signed-out");
    if (status === 403) return this.#bar(e instanceof KentonganError && e.code.toUpperCase() === "NO_TENANT" ? "no-kitchen" : "refused");
    if (status === 404 && this.#chosen !== undefined && this.#state.session?.visiting !== true) return this.#bar("refused"); // another one's kitchen
    if (status === 404) {
      globalThis.location.assign("/live"); // the production service was switched off
      return;
    }
    if (this.#state.session === undefined) this.#set({ gate: "unreachable" });
    this.#reached(false);
    this.#asking = setTimeout(() => void this.start(), ASK_AGAIN_MS);
  }

  /** Shows why there is nothing to see, and forgets what nobody may see now. What is not sent stays on the disk. */
  #bar(gate: Gate): void {
    this.#forget();
    this.#set({ gate });
  }

  #forget(): void {
    this.#run++;
    for (const s of this.#subscriptions) s.unsubscribe();
    this.#subscriptions = [];
    this.#client?.close(); // at once: its line is that of a person
    this.#queue?.close();
    this.#queue = undefined;
    this.#loadedAt = undefined;
    clearTimeout(this.#keeping);
    this.#keeping = undefined;
    for (const name of ["kentongan.session", "kentongan.kitchen"]) storage()?.removeItem(name);
    this.#set({ session: undefined, kitchen: NO_KITCHEN, setting: NO_SETTING, queue: NO_QUEUE, complete: new Set(), person: undefined, refused: undefined, status: INITIAL_STATUS });
  }

  #remember(): Session | undefined {
    const v = parse(storage()?.getItem("kentongan.session") ?? "");
    const kitchen = text(v, "kitchen");
    const user = text(v, "user");
    const visiting = field(v, "visiting") === true;
    if (kitchen === undefined || user === undefined || (visiting && kitchen !== this.#chosen)) return undefined;
    return { kitchen, user, role: text(v, "role") ?? "", visiting };
  }

  /** Opens the queue of a person, and shows what is kept. */
  #enter(session: Session): void {
    storage()?.setItem("kentongan.session", JSON.stringify(session));
    this.#set({ session, gate: undefined });
    const kept = parse(storage()?.getItem("kentongan.kitchen") ?? "");
    const before = text(kept, "of") === session.kitchen ? readKept(kept, Date.now()) : undefined;
    if (before !== undefined) {
      this.#keptSkewMs = before.skewMs;
      this.#loadedAt = before.at - before.skewMs;
      this.#set({ kitchen: { ...before.kitchen, ready: false }, setting: readSetting(field(kept, "settings"), field(kept, "references")) });
    }
    this.#queue = new Queue({
      name: `${session.kitchen} ${session.user}`,
      storage: storage(),
      version: (id) => this.#state.kitchen.productions.get(id)?.version,
      read: async (id) => {
        const answer = await read(this.#path(`/api/productions/${encodeURIComponent(id)}`)).catch(() => undefined);
        const row = field(answer, "production");
        this.#fold(row);
        return row;
      },
      onSent: (entry, answer) => this.#sent(entry, answer),
      onRefused: (entry, answer) => this.#set({ refused: { batchId: entry.note.batchId, kept: entry, answer } }),
      onState: (queue) => this.#set({ queue }),
    });
    this.#line(this.#state.status);
  }

  async #begin(run: number, early?: Asked): Promise<void> {
    const session = this.#state.session;
    if (session === undefined) return;
    const positions = await this.#load(run, early);
    if (run !== this.#run) return;
    this.#queue?.flush();
    for (const s of this.#subscriptions) s.unsubscribe();
    this.#subscriptions = ["production:updates", "production:alerts"].map((name) => {
      const channel = `${name}:${session.kitchen}`;
      return this.#client!.subscribe(channel, {
        message: (m) => {
          const event = readEvent(m);
          if (event !== undefined) this.#apply(fold(this.#state.kitchen, event));
        },
        gap: async () => { await this.#load(run); },
      }, { since: positions?.[channel] });
    });
    // Of a channel without a position nothing was published when the snapshot was taken: what came since is in a second one.
    if (this.#subscriptions.some((s) => s.position() === undefined)) await this.#load(run);
  }

  /** Asks for everything that a board begins with. */
  #ask(): Asked {
    const answers = Promise.all([
      read(this.#path("/api/productions?active=true")), read(this.#path("/api/kitchen")), read(this.#path("/api/references")),
    ]);
    answers.catch(() => undefined); // who waits for it hears of it; it may be that nobody does
    return { before: this.#state.kitchen, answers };
  }

  async #load(run: number, early?: Asked) {
    const { before, answers } = early ?? this.#ask();
    const [answer, kitchen, references] = await answers;
    const snapshot = readSnapshot(answer);
    if (snapshot === undefined) throw new KentonganError(0, "UNEXPECTED", "the snapshot has not the shape that it should have", true);
    if (run !== this.#run) return undefined;
    this.#settings = { settings: kitchen, references };
    this.#loadedAt = Date.now();
    this.#set({ setting: readSetting(kitchen, references) });
    this.#apply(applySnapshot(before, this.#state.kitchen, snapshot));
    return snapshot.positions;
  }

  /** Reads the checks of a batch, which events alone do not bring to a page that was opened later. */
  async readRecords(id: string): Promise<void> {
    const records = await read(this.#path(`/api/productions/${encodeURIComponent(id)}/records`)).catch(() => undefined);
    const row = this.#state.kitchen.productions.get(id);
    if (records === undefined || row === undefined) return;
    const productions = new Map(this.#state.kitchen.productions).set(id, withRecords(row, records));
    this.#set({ kitchen: { ...this.#state.kitchen, productions }, complete: new Set(this.#state.complete).add(id) });
  }

  #apply(now: Kitchen): void {
    const kitchen = withoutPast(now, new Format(this.#state.language, this.#state.setting.zone).day(this.now() - DAY_MS));
    this.#set({ kitchen, silenced: stillSilenced(kitchen.alerts, this.#state.silenced) });
    this.#line(this.#state.status);
    this.#keeping ??= setTimeout(() => this.#keep(), KEEP_EVERY_MS);
  }

  /** Keeps what is shown for a start without a line. */
  #keep(): void {
    this.#keeping = undefined;
    const { session, kitchen, fresh } = this.#state;
    const at = fresh.old ? fresh.since : this.now();
    if (session === undefined || at === undefined) return;
    try {
      storage()?.setItem("kentongan.kitchen", JSON.stringify({ of: session.kitchen, ...keep(kitchen, at, this.now() - Date.now()), ...this.#settings }));
    } catch {
      storage()?.removeItem("kentongan.kitchen"); // it is full; what people have entered has its own place
    }
  }

  /** Takes a row that the server has answered with, which may be here before the event. */
  #fold(row: unknown): void {
    const id = text(row, "id");
    const changes = row as Production;
    if (id !== undefined) this.#apply(applyEvent(this.#state.kitchen, { kind: "updated", productionId: id, changes, timestamp: this.now() }));
  }

  #sent(kept: Kept | undefined, answer: unknown): void {
    this.#fold(field(answer, "production"));
    const alert = field(answer, "alert");
    if (text(alert, "id") !== undefined) {
      const event = readEvent({ data: { type: "production_alert", productionId: text(alert, "productionId"), alert }, time: this.now() });
      if (event !== undefined) this.#apply(applyEvent(this.#state.kitchen, event));
    }
    const id = kept?.note.batchId;
    if (id !== undefined && kept?.send["checkType"] !== undefined) void this.readRecords(id);
    if (kept !== undefined) this.#set({ sent: { kept, at: Date.now() } });
  }

  #line(status: Status): void {
    const skew = this.#skew(status);
    const loadedAt = this.#loadedAt === undefined ? undefined : this.#loadedAt + skew;
    this.#set({ status, fresh: freshness(status, this.#state.kitchen.ready, loadedAt, skew, this.#unreached) });
    if (status.phase === "denied" && this.#state.session !== undefined) this.#bar(status.denial?.status === 401 ? "signed-out" : "refused");
    if (status.fresh) this.#keeping ??= setTimeout(() => this.#keep(), KEEP_EVERY_MS);
  }

  #reached(yes: boolean): void {
    if (this.#unreached === !yes) return;
    this.#unreached = !yes;
    this.#line(this.#state.status);
  }

  /** Takes what somebody enters. A person's PIN is used for two minutes. */
  async enter(draft: Draft, undo?: boolean): Promise<void> {
    this.#set({ refused: undefined, full: false });
    this.#stay();
    try {
      // The tablet itself acts where it may: a person's rights would count instead of its own.
      const own = may(this.#state.session?.role, draft.right);
      await this.#queue?.enter(draft, own ? undefined : this.#state.person, undo);
    } catch {
      this.#set({ full: true }); // nobody may believe that it is kept
    }
  }

  /** Somebody has shown who they are at this tablet. */
  identify(id: string, pin: string): void {
    const member = this.#state.setting.staff.find((m) => m.id === id);
    if (member === undefined) return;
    this.#set({ person: { id, pin, name: member.name, role: member.role } });
    this.#stay();
  }

  leave = (): void => {
    clearTimeout(this.#leaving);
    this.#set({ person: undefined });
  };

  #stay(): void {
    clearTimeout(this.#leaving);
    if (this.#state.person !== undefined) this.#leaving = setTimeout(this.leave, PERSON_MS);
  }

  get queue(): Queue | undefined {
    return this.#queue;
  }

  /** Makes what sounds silent on this device. It is not acknowledged by that. */
  silence = (): void => {
    this.#siren.enable();
    const keys = sounding(this.#state.kitchen.alerts, this.#state.silenced).map(soundKey);
    this.#set({ silenced: new Set([...this.#state.silenced, ...keys]) });
  };

  enableSound = (): void => this.#siren.enable();

  dismiss = (): void => this.#set({ refused: undefined });

  show = (route: { readonly view: View; readonly place: string }): void => this.#set(route);

  speak = (language: Language): void => {
    storage()?.setItem("kentongan.language", language);
    this.#set({ language });
  };

  retry = (): void => {
    if (this.operator !== undefined) return this.operator.wake();
    this.#client?.retry();
    if (this.#subscriptions.length === 0) void this.start();
  };

  /** Cuts the line of this screen, in the demo, or mends it. It mends itself after a while. */
  cut = async (on: boolean): Promise<void> => {
    clearTimeout(this.#mending);
    try {
      await cutLine(on ? CUT_MS / 1000 : 0);
    } catch (e) {
      if (e instanceof KentonganError && (e.status === 404 || e.status === 405)) this.#set({ demo: undefined }); // another server stands there now
      return;
    }
    this.#set({ demo: { until: on ? Date.now() + CUT_MS : undefined } });
    if (on) this.#mending = setTimeout(() => void this.cut(false), CUT_MS);
    else {
      this.retry();
      this.#queue?.flush();
    }
  };

  /** Signs out, if everything is sent. */
  async signOut(): Promise<boolean> {
    if (!(await signOut())) return false;
    this.#bar("signed-out");
    return true;
  }

  #set(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
    if (change.kitchen !== undefined || change.silenced !== undefined) {
      this.#siren.sound(gradeOf(sounding(this.#state.kitchen.alerts, this.#state.silenced)));
    }
    for (const f of [...this.#listeners]) f();
  }
}

/** Returns the alerts of a batch. */
export function alertsOf(alerts: readonly Alert[], id: string): Alert[] {
  return alerts.filter((a) => a.productionId === id);
}

/** Returns how many entries of a batch are on this device alone. */
export function unsentOf(queue: QueueState, id: string): number {
  return queue.unsent.filter((e) => readEntry(e.body)?.note.batchId === id).length;
}
