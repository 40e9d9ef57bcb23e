/** One batch of food as the screens show it, read out of what the server tells. What is not there is undefined, and never 0. */

import { field, fields, instant, list, text, whole } from "../client/src/json.ts";

/** The statuses in their order; the last two are final. */
export const STATUSES = ["PLANNED", "PREPARING", "COOKING", "QUALITY_CHECK", "COMPLETED", "CANCELLED"] as const;
export type Status = (typeof STATUSES)[number];

/** The types of checks, in the order in which a kitchen does them. */
export const CHECKS = ["HYGIENE", "TEMPERATURE", "TASTE", "APPEARANCE", "SAFETY"] as const;
export type CheckType = (typeof CHECKS)[number];

export type ControlMode = "TIME" | "HOT" | "COLD";

export interface Dish {
  readonly name: string;
  readonly cold: boolean;
  readonly celsius: number | undefined;
}

/** Instants are ms since 1970 by the server's clock. */
export interface Batch {
  readonly id: string;
  readonly number: string | undefined;
  readonly menu: string | undefined;
  readonly group: string | undefined;
  readonly wave: number | undefined;
  readonly day: string | undefined; // 2026-11-26, the serving day in the kitchen's zone
  readonly status: Status | undefined;
  readonly statusSince: number | undefined;
  readonly mode: ControlMode;
  readonly progress: number | undefined;
  readonly plannedPortions: number | undefined;
  readonly portions: number | undefined;
  readonly celsius: number | undefined; // last core reading
  readonly targetCelsius: number | undefined;
  readonly dishes: readonly Dish[];
  readonly plannedStart: number | undefined;
  readonly plannedEnd: number | undefined;
  readonly cooked: number | undefined;
  readonly consumeBy: number | undefined;
  readonly dispatched: number | undefined;
  readonly sampleTaken: number | undefined;
  readonly wasteKg: number | undefined;
  readonly headCook: string | undefined;
  readonly reworks: number;
  readonly version: number | undefined;
}

/** Reads a row. Every field of another type than it should have is not there. */
export function readBatch(row: Readonly<Record<string, unknown>> & { readonly id: string }): Batch {
  const status = STATUSES.find((s) => s === row["status"]);
  const mode = row["controlMode"];
  return {
    id: row.id,
    number: text(row, "batchNumber"),
    menu: text(row, "menuName"),
    group: text(row, "targetGroup"),
    wave: whole(row, "wave", 1),
    day: text(row, "productionDate"),
    status,
    statusSince: instant(row, "statusSince"),
    mode: mode === "HOT" || mode === "COLD" ? mode : "TIME",
    progress: within(row, "progress", 0, 100),
    plannedPortions: whole(row, "plannedPortions"),
    portions: whole(row, "actualPortions"),
    celsius: within(row, "actualTemperature", -60, 400),
    targetCelsius: within(row, "targetTemperature", -60, 400),
    dishes: list(row, "dishes").flatMap((d) => {
      const name = text(d, "name");
      return name === undefined ? [] : [{ name, cold: field(d, "cold") === true, celsius: within(d, "coreTempC", -60, 400) }];
    }),
    plannedStart: instant(row, "plannedStartTime"),
    plannedEnd: instant(row, "plannedEndTime"),
    cooked: instant(row, "cookedAt"),
    consumeBy: instant(row, "consumeBy"),
    dispatched: instant(row, "dispatchedAt"),
    sampleTaken: instant(row, "sampleTakenAt"),
    wasteKg: within(row, "wasteAmount", 0, 100_000),
    headCook: text(row, "headCook"),
    reworks: whole(row, "reworkCount") ?? 0,
    version: whole(row, "version", 1),
  };
}

/** Returns a number within bounds; what lies outside of them is a mistake, and not shown. */
function within(v: unknown, name: string, least: number, most: number): number | undefined {
  const n = field(v, name);
  return typeof n === "number" && n >= least && n <= most ? n : undefined;
}

export function isFinal(s: Status | undefined): boolean {
  return s === "COMPLETED" || s === "CANCELLED";
}

/** Returns the status that follows, undefined where none does. */
export function nextStatus(s: Status | undefined): Status | undefined {
  const at = s === undefined ? -1 : STATUSES.indexOf(s);
  return at >= 0 && at < 4 ? STATUSES[at + 1] : undefined;
}

/** The latest check of each type: passed or not. Where only events of checks came, older ones are not known. */
export function latestChecks(row: Readonly<Record<string, unknown>> | undefined): ReadonlyMap<CheckType, boolean> {
  const latest = new Map<CheckType, { at: number; passed: boolean }>();
  for (const c of list(row, "qualityChecks")) {
    const type = CHECKS.find((t) => t === field(c, "checkType"));
    const passed = field(c, "passed");
    if (type === undefined || typeof passed !== "boolean" || fields(c) === undefined) continue;
    const at = instant(c, "checkTime") ?? 0;
    if (at >= (latest.get(type)?.at ?? 0)) latest.set(type, { at, passed });
  }
  return new Map([...latest].map(([type, { passed }]) => [type, passed]));
}

/** How much attention a batch needs: planned ones none, then green, amber, red. */
export type Tone = "idle" | "good" | "watch" | "bad";

export type Severity = "LOW" | "MEDIUM" | "HIGH" | "CRITICAL";

/** From this part of the time between cooked and eat-by on, the countdown is amber. */
const WATCH_FROM = 0.75;

/** Returns the tone of a batch: by the gravest of its alerts, and by how much of its time is used. now is the server's time. */
export function toneOf(b: Batch, alerts: readonly (Severity | undefined)[], now: number): Tone {
  const left = timeLeft(b, now);
  const late = b.status !== undefined && b.status !== "PLANNED" && !isFinal(b.status) && b.plannedEnd !== undefined && now > b.plannedEnd;
  if (alerts.includes("HIGH") || alerts.includes("CRITICAL") || (left !== undefined && left <= 0) || b.status === "CANCELLED") return "bad";
  if (alerts.includes("MEDIUM") || alerts.includes(undefined) || late || usedUp(b, now) >= WATCH_FROM) return "watch";
  return b.status === "PLANNED" || b.status === undefined ? "idle" : "good";
}

/** Returns how long the food of a batch is still good, in ms; below 0: it is not. Undefined: no clock runs, or it has left in time. */
export function timeLeft(b: Batch, now: number): number | undefined {
  if (b.consumeBy === undefined || b.status === "CANCELLED" || b.dispatched !== undefined) return undefined;
  return b.consumeBy - now;
}

/** Returns which part of the time from cooked to eat-by is used, 0 where no clock runs. */
function usedUp(b: Batch, now: number): number {
  const left = timeLeft(b, now);
  if (left === undefined || b.consumeBy === undefined || b.cooked === undefined || b.consumeBy <= b.cooked) return 0;
  return 1 - left / (b.consumeBy - b.cooked);
}

/** Orders batches for a screen: what is under way, by when its food has to be eaten, then what is planned, then what is over. */
export function byUrgency(a: Batch, b: Batch): number {
  const rank = (x: Batch) => (isFinal(x.status) ? 2 : x.status === "PLANNED" || x.status === undefined ? 1 : 0);
  const when = (x: Batch) => x.consumeBy ?? (rank(x) === 0 ? Number.MAX_SAFE_INTEGER : undefined) ?? x.plannedStart ?? 0;
  const order = rank(a) - rank(b);
  if (order !== 0) return order;
  if (rank(a) === 2) return (b.plannedStart ?? 0) - (a.plannedStart ?? 0) || (a.id < b.id ? -1 : 1);
  return when(a) - when(b) || (a.plannedStart ?? 0) - (b.plannedStart ?? 0) || (a.id < b.id ? -1 : 1);
}

/** Returns "0003" of "BATCH-20261126-0003": the day is the same for all on a screen. */
export function shortNumber(number: string | undefined): string {
  return /^BATCH-\d{8}-(\d{4,})$/.exec(number ?? "")?.[1] ?? number ?? "";
}
