/** Productions as the events of the app tell of them. What was never told is undefined, and is shown as "–". */

import { field, fields, instant, number, text } from "./json.ts";

/** The states of a batch, in their order. */
export const STATUSES = ["PLANNED", "PREPARING", "COOKING", "QUALITY_CHECK", "COMPLETED", "CANCELLED"] as const;
export type Status = (typeof STATUSES)[number];

/** One batch of food, as far as it is known. */
export interface Production {
  readonly id: string;
  readonly batch: string | undefined;
  readonly menu: string | undefined;
  readonly status: Status | undefined;
  readonly progress: number | undefined; // 0 to 100
  readonly coreTemperature: number | undefined; // °C
  readonly targetTemperature: number | undefined; // °C
  readonly plannedPortions: number | undefined;
  readonly actualPortions: number | undefined;
  readonly consumeBy: number | undefined; // ms since 1970
  readonly version: number | undefined;
  readonly changedAt: number; // ms since 1970, by the server's clock
  /** Messages may be missing since the last change: what is shown here may be past. */
  readonly doubtful: boolean;
}

/** How many batches are kept. A kitchen cooks 6 a day; the ones that changed longest ago go first. */
export const MAX_PRODUCTIONS = 60;

export type Productions = ReadonlyMap<string, Production>;

/**
 * Returns productions after an event of the app that came at the given time, or productions itself if the event is none
 * of a production. An event with a version that is not newer than the known one changes nothing.
 */
export function applyProduction(productions: Productions, event: unknown, time: number): Productions {
  const type = text(event, "type") ?? text(event, "eventType");
  if (type !== "production_update" && type !== "production_created" && type !== "PRODUCTION_CREATED") return productions;
  const data = field(event, "data");
  const id = text(event, "productionId") ?? text(data, "id");
  if (id === undefined || fields(data) === undefined) return productions;

  const old = productions.get(id);
  if (field(data, "deleted") === true) {
    if (old === undefined) return productions;
    const next = new Map(productions);
    next.delete(id);
    return next;
  }
  const version = number(data, "version", 0, Number.MAX_SAFE_INTEGER) ?? number(event, "version", 0, Number.MAX_SAFE_INTEGER);
  if (old?.version !== undefined && version !== undefined && version <= old.version) return productions;
  return bounded(new Map(productions).set(id, changed(old, id, data, version, time)));
}

/** Marks all as doubtful, because messages may be missing. The next event of a batch clears its mark. */
export function doubt(productions: Productions): Productions {
  return new Map([...productions].map(([id, p]) => [id, { ...p, doubtful: true }]));
}

/** Returns the batches in the order of the board: those in work first, then planned, then finished; in each the newest change first. */
export function sorted(productions: Productions): Production[] {
  return [...productions.values()].sort((a, b) => rank(a) - rank(b) || b.changedAt - a.changedAt || (a.id < b.id ? -1 : 1));
}

function changed(old: Production | undefined, id: string, data: unknown, version: number | undefined, time: number): Production {
  return {
    id,
    batch: text(data, "batchNumber", 60) ?? old?.batch,
    menu: text(data, "menuName", 120) ?? old?.menu,
    status: status(data) ?? old?.status,
    progress: number(data, "progress", 0, 100) ?? old?.progress,
    coreTemperature: number(data, "actualTemperature", -30, 300) ?? old?.coreTemperature,
    targetTemperature: number(data, "targetTemperature", -30, 300) ?? old?.targetTemperature,
    plannedPortions: number(data, "plannedPortions", 0, 1_000_000) ?? old?.plannedPortions,
    actualPortions: number(data, "actualPortions", 0, 1_000_000) ?? old?.actualPortions,
    consumeBy: instant(data, "consumeBy") ?? old?.consumeBy,
    version: version ?? old?.version,
    changedAt: Math.max(time, old?.changedAt ?? 0),
    doubtful: false,
  };
}

function status(data: unknown): Status | undefined {
  const s = text(data, "newStatus") ?? text(data, "status");
  return STATUSES.find((known) => known === s);
}

function rank(p: Production): number {
  switch (p.status) {
    case "QUALITY_CHECK":
    case "COOKING":
    case "PREPARING":
      return 0;
    case "PLANNED":
    case undefined:
      return 1;
    case "COMPLETED":
    case "CANCELLED":
      return 2;
  }
}

function bounded(productions: Map<string, Production>): Productions {
  while (productions.size > MAX_PRODUCTIONS) {
    let oldest: Production | undefined;
    for (const p of productions.values()) if (oldest === undefined || p.changedAt < oldest.changedAt) oldest = p;
    if (oldest !== undefined) productions.delete(oldest.id);
  }
  return productions;
}
