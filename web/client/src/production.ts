/**
 * The production of one kitchen, live: what the app publishes on production:updates:{sppgId} and production:alerts:{sppgId}, as typed
 * events, folded into rows by pure functions. What is not known stays undefined, and is never made up.
 */

import type { Client, Subscription } from "./client.ts";
import type { Gap } from "./follow.ts";
import type { Message } from "./frame.ts";
import { field, fields, instant, list, text, whole, type Fields } from "./json.ts";

export type ProductionStatus = "PLANNED" | "PREPARING" | "COOKING" | "QUALITY_CHECK" | "COMPLETED" | "CANCELLED";
export type Severity = "LOW" | "MEDIUM" | "HIGH" | "CRITICAL";

/** One batch of food, as far as it is known. Beside these it has whatever else the app publishes. */
export interface Production {
  readonly id: string;
  readonly status?: ProductionStatus;
  readonly batchNumber?: string;
  readonly progress?: number;
  readonly plannedPortions?: number;
  readonly actualPortions?: number;
  /** °C of the last core reading. */
  readonly actualTemperature?: number;
  readonly version?: number;
  readonly [field: string]: unknown;
}

export interface Alert {
  readonly id: string;
  readonly productionId: string | undefined;
  readonly code: string | undefined;
  readonly severity: Severity | undefined;
  /** OPEN, ACKNOWLEDGED, RESOLVED or AUTO_RESOLVED; undefined counts as open. */
  readonly status: string | undefined;
  /** When it was raised, ms since 1970. */
  readonly raisedAt: number | undefined;
  /** When this was published, ms since 1970. */
  readonly timestamp: number;
  /** The alert as it was published. */
  readonly data: Fields;
}

/** What one message says. */
export type ProductionEvent =
  | { readonly kind: "created"; readonly productionId: string; readonly changes: Fields; readonly timestamp: number }
  | { readonly kind: "updated"; readonly productionId: string; readonly changes: Fields; readonly timestamp: number }
  | { readonly kind: "checked"; readonly productionId: string; readonly check: Fields; readonly timestamp: number }
  | { readonly kind: "deleted"; readonly productionId: string; readonly timestamp: number }
  | { readonly kind: "alert"; readonly productionId: string | undefined; readonly alert: Alert; readonly timestamp: number };

/** Reads what was published; undefined: it is none of these. Older shapes of the app are understood. */
export function readEvent(m: Pick<Message, "data" | "time">): ProductionEvent | undefined {
  const { data } = m;
  if (field(data, "type") === "broadcast") return readEvent({ ...m, data: field(data, "message") });
  const timestamp = instant(data, "timestamp") ?? m.time;
  const alert = fields(field(data, "alert"));
  const changes = fields(field(data, "data"));
  const productionId = text(data, "productionId") ?? text(changes, "id");
  if (field(data, "type") === "production_alert" && alert) {
    return { kind: "alert", productionId, alert: readAlert(alert, productionId, timestamp), timestamp };
  }
  if (!productionId || !changes) return undefined;
  switch (field(data, "type") ?? field(data, "eventType")) {
    case "production_created":
    case "PRODUCTION_CREATED":
      return { kind: "created", productionId, changes, timestamp };
    case "production_update": {
      if (changes["deleted"] === true) return { kind: "deleted", productionId, timestamp };
      const check = fields(changes["qualityCheck"]);
      // A new status wins over other fields of the same message.
      if (check && changes["status"] === undefined) return { kind: "checked", productionId, check, timestamp };
      return { kind: "updated", productionId, changes, timestamp };
    }
    default:
      return undefined;
  }
}

const SEVERITIES: readonly (Severity | undefined)[] = ["LOW", "MEDIUM", "HIGH", "CRITICAL"];

function readAlert(alert: Fields, productionId: string | undefined, timestamp: number): Alert {
  const code = text(alert, "code") ?? text(alert, "type");
  return {
    // There is one open alert for each batch and code; without an id of its own that is its name.
    id: text(alert, "id") ?? `${productionId ?? ""} ${code ?? ""}`,
    productionId: productionId ?? text(alert, "productionId"),
    code,
    severity: SEVERITIES.find((s) => s === alert["severity"]),
    status: text(alert, "status"),
    raisedAt: instant(alert, "raisedAt") ?? timestamp,
    timestamp,
    data: alert,
  };
}

/** What is known of a kitchen. */
export interface Kitchen {
  readonly productions: ReadonlyMap<string, Production>;
  /** Those that are not resolved, the gravest first, then the oldest. */
  readonly alerts: readonly Alert[];
  /** When the last change was published, ms since 1970. */
  readonly lastUpdate: number | undefined;
  /** Everything that can be known from the start has come. */
  readonly ready: boolean;
}

export const NO_KITCHEN: Kitchen = { productions: new Map(), alerts: [], lastUpdate: undefined, ready: false };

/** A kitchen has some 6 batches a day; more rows than the server keeps are not kept here either. */
export const MAX_PRODUCTIONS = 1_000;
export const MAX_ALERTS = 500;

/** Returns the kitchen after an event; the same object if it changes nothing. */
export function applyEvent(k: Kitchen, e: ProductionEvent): Kitchen {
  const lastUpdate = Math.max(k.lastUpdate ?? 0, e.timestamp);
  switch (e.kind) {
    case "alert":
      return { ...k, lastUpdate, alerts: applyAlert(k.alerts, e.alert) };
    case "deleted": {
      const productions = new Map(k.productions);
      productions.delete(e.productionId);
      return { ...k, lastUpdate, productions };
    }
    case "checked": {
      const checks = list(k.productions.get(e.productionId), "qualityChecks");
      return set(k, e.productionId, { qualityChecks: [...checks.filter((c) => !text(c, "id") || text(c, "id") !== text(e.check, "id")), e.check] }, lastUpdate);
    }
    case "created":
    case "updated": {
      const known = whole(k.productions.get(e.productionId), "version");
      const version = whole(e.changes, "version");
      // The order of a batch is that of its versions: what is older came late.
      if (known !== undefined && version !== undefined && version < known) return k;
      return set(k, e.productionId, e.changes, lastUpdate);
    }
  }
}

function set(k: Kitchen, id: string, changes: Fields, lastUpdate: number): Kitchen {
  const productions = new Map(k.productions);
  const before = productions.get(id);
  productions.delete(id); // the one that changed last stands last
  productions.set(id, { ...before, ...changes, id });
  for (const oldest of productions.keys()) {
    if (productions.size <= MAX_PRODUCTIONS) break;
    productions.delete(oldest);
  }
  return { ...k, productions, lastUpdate };
}

function applyAlert(alerts: readonly Alert[], alert: Alert): readonly Alert[] {
  const known = alerts.find((a) => a.id === alert.id);
  if (known && known.timestamp > alert.timestamp) return alerts;
  const others = alerts.filter((a) => a !== known);
  if (alert.status === "RESOLVED" || alert.status === "AUTO_RESOLVED") return others;
  const weight = (a: Alert) => SEVERITIES.indexOf(a.severity);
  return [...others, alert].sort((a, b) => weight(b) - weight(a) || (a.raisedAt ?? 0) - (b.raisedAt ?? 0)).slice(0, MAX_ALERTS);
}

export interface KitchenOptions {
  /** Which kitchen; without it the one of the session. */
  readonly sppgId?: string | undefined;
  /** Fetches the rows from the app's own API, at the start and after a gap. Without it they are put together from what was published. */
  readonly load?: ((sppgId: string) => Promise<readonly Production[]>) | undefined;
}

/** A kitchen that is followed while somebody listens. */
export interface KitchenStore {
  state(): Kitchen;
  /** Calls f whenever something changes. Returns how to end that. */
  onState(f: (kitchen: Kitchen) => void): () => void;
}

/** Who stops listening and begins again in the same breath, as frameworks do, keeps what is known. */
const LINGER_MS = 1_000;
/** Who we are is asked again after this, if there was no answer. */
const ASK_AGAIN_MS = 5_000;

/** Returns the kitchen as a store. It does nothing before somebody listens. */
export function kitchenOf(client: Client, options: KitchenOptions = {}): KitchenStore {
  return new Follower(client, options);
}

class Follower implements KitchenStore {
  readonly #client: Client;
  readonly #options: KitchenOptions;
  readonly #listeners = new Set<(kitchen: Kitchen) => void>();
  #kitchen = NO_KITCHEN;
  #subscriptions: Subscription[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #run = 0; // which start of following this is

  constructor(client: Client, options: KitchenOptions) {
    this.#client = client;
    this.#options = options;
  }

  state = (): Kitchen => this.#kitchen;

  onState = (f: (kitchen: Kitchen) => void): (() => void) => {
    this.#listeners.add(f);
    if (this.#listeners.size === 1) {
      clearTimeout(this.#timer);
      if (this.#subscriptions.length === 0) void this.#start(++this.#run);
    }
    return () => {
      if (!this.#listeners.delete(f) || this.#listeners.size > 0) return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#stop(), LINGER_MS);
    };
  };

  #stop(): void {
    this.#run++;
    for (const s of this.#subscriptions) s.unsubscribe();
    this.#subscriptions = [];
    this.#kitchen = NO_KITCHEN; // it would be old when somebody comes back
  }

  async #start(run: number): Promise<void> {
    let { sppgId } = this.#options;
    try {
      sppgId ??= (await this.#client.info()).sppgId;
    } catch {
      if (this.#run === run) this.#timer = setTimeout(() => void this.#start(run), ASK_AGAIN_MS);
      return;
    }
    if (this.#run !== run || sppgId === undefined) return;
    const id = sppgId;
    const message = (m: Message) => this.#take([m]);
    const updates = `production:updates:${id}`;
    const alerts = `production:alerts:${id}`;
    this.#subscriptions = [
      this.#client.subscribe(updates, { message, gap: (g) => this.#begin(g, run, id) }, { snapshot: true }),
      this.#client.subscribe(alerts, { message, gap: (g) => this.#recall(g.channel, run) }),
    ];
    // Alerts keep no snapshot: those of before are read from the history.
    void this.#recall(alerts, run).catch(() => undefined);
  }

  /** Fetches the rows. It throws if it cannot; the subscription tries again. */
  async #begin(gap: Gap, run: number, id: string): Promise<void> {
    const rows = await this.#options.load?.(id);
    const page = rows ? undefined : await this.#client.history(gap.channel);
    if (this.#run !== run) return;
    let kitchen = this.#kitchen;
    if (rows) kitchen = { ...kitchen, productions: new Map(rows.map((p) => [p.id, p])) };
    // The newest of each batch may name a few of its fields only: what was said before lies in the history.
    const told = new Map<number, Message>();
    for (const m of [...(gap.snapshot ?? []), ...(page?.messages ?? [])]) if (m.position.offset <= gap.position.offset) told.set(m.position.offset, m);
    this.#kitchen = { ...kitchen, ready: true };
    this.#take([...told.values()].sort((a, b) => a.position.offset - b.position.offset));
  }

  async #recall(channel: string, run: number): Promise<void> {
    const page = await this.#client.history(channel);
    if (this.#run === run) this.#take(page.messages);
  }

  #take(messages: readonly Message[]): void {
    for (const m of messages) {
      const event = readEvent(m);
      if (event) this.#kitchen = applyEvent(this.#kitchen, event);
    }
    for (const f of [...this.#listeners]) f(this.#kitchen);
  }
}
