/** The log of a day as lines in the order of time, read out of GET /api/daylog. The printed page is the server's; this is to look at. */

import { field, instant, list, text } from "../client/src/json.ts";
import { messageOf } from "./alarm.ts";
import { STATUSES, type Status } from "./batch.ts";
import { readEvent } from "./kitchen.ts";
import { readPhoto, type Shown } from "./photo.ts";
import type { Format } from "./format.ts";
import type { Values, Word } from "./words.ts";

export interface Line {
  readonly key: string;
  readonly at: number;
  readonly batch: string;
  readonly what: string;
  readonly value: string;
  readonly bad: boolean;
  readonly who: string | undefined; // id
  readonly photo?: Shown | undefined;
}

type Say = (word: Word, values?: Values) => string;

/** Returns all lines of a log, newest first. */
export function linesOf(log: unknown, format: Format, say: Say): Line[] {
  const lines: Line[] = [];
  for (const b of list(log, "batches")) {
    const batch = text(field(b, "production"), "batchNumber") ?? "";
    const add = (row: unknown, name: string, line: Omit<Line, "key" | "batch" | "at" | "who"> & { readonly who?: string | undefined }) => {
      const at = instant(row, name);
      if (at !== undefined) lines.push({ key: `${batch} ${lines.length}`, at, batch, who: undefined, ...line });
    };
    for (const s of list(b, "steps")) {
      const to = STATUSES.find((x): x is Status => x === field(s, "to"));
      add(s, "at", { what: say("step_at", { status: to === undefined ? say("unknownStatus") : say(to) }), value: text(s, "reason") ?? "", bad: to === "CANCELLED", who: text(s, "by") });
    }
    for (const r of list(b, "readings")) {
      const kind = text(r, "kind") ?? "CORE";
      const word = `reading_${kind}` as Word;
      const celsius = field(r, "celsius");
      add(r, "takenAt", { what: join(say(word), text(r, "dish")), value: format.degrees(typeof celsius === "number" ? celsius : undefined), bad: false, who: text(r, "takenBy") });
    }
    for (const c of list(b, "checks")) {
      const passed = field(c, "passed") === true;
      add(c, "checkTime", {
        what: say("check", { type: say((text(c, "checkType") ?? "HYGIENE") as Word) }), value: join(say(passed ? "passed" : "failed"), text(c, "actualValue"), text(c, "actionTaken")),
        bad: !passed, who: text(c, "checkedBy"),
      });
    }
    for (const s of list(b, "samples")) add(s, "takenAt", { what: say("sample"), value: join(text(s, "dish"), text(s, "place")), bad: false, who: text(s, "takenBy") });
    for (const d of list(b, "dispatches")) {
      const n = field(d, "portions");
      add(d, "takenAt", { what: say("recordDispatch"), value: join(typeof n === "number" ? format.amount(n) : undefined, text(d, "destination")), bad: false, who: text(d, "dispatchedBy") });
    }
    for (const p of list(b, "photoNotes")) add(p, "takenAt", { what: say("photo"), value: text(p, "note") ?? "", bad: false, who: text(p, "takenBy"), photo: readPhoto(p) });
    for (const c of list(b, "corrections")) {
      add(c, "correctedAt", { what: join(say("correction"), text(c, "field")), value: join(text(c, "value"), text(c, "reason")), bad: false, who: text(c, "correctedBy") });
    }
    for (const a of list(b, "alerts")) {
      const event = readEvent({ data: { type: "production_alert", productionId: text(a, "productionId"), alert: a }, time: 1 });
      if (event?.kind !== "alert") continue;
      const grave = event.alert.severity === "HIGH" || event.alert.severity === "CRITICAL";
      add(a, "raisedAt", {
        what: `${say("alerts")}: ${messageOf(event.alert, format.language)}`,
        value: join(event.alert.severity === undefined ? undefined : say(event.alert.severity), text(a, "correctiveAction")), bad: grave, who: text(a, "acknowledgedBy"),
      });
    }
  }
  return lines.sort((a, b) => b.at - a.at);
}

function join(...parts: (string | undefined)[]): string {
  return parts.filter((p) => p !== undefined && p !== "").join(" – ");
}

/** One figure of a day: a rate with its count, or a mean. */
export interface DayFigure {
  readonly word: Word;
  readonly value: string;
  readonly count: string;
}

/** Returns the figures of the answer to GET /api/kpis. What is not known is "–", and of how many nothing is said before there was an answer. */
export function figuresOf(report: unknown, format: Format, say: Say): DayFigure[] {
  const summary = field(report, "summary");
  const number = (v: unknown, name: string) => {
    const n = field(v, name);
    return typeof n === "number" ? n : undefined;
  };
  const rate = (word: Word, name: string): DayFigure => {
    const r = field(summary, name);
    return { word, value: format.percent(number(r, "percent")), count: r === undefined ? "" : say("ofCount", { n: number(r, "count") ?? 0, of: number(r, "of") ?? 0 }) };
  };
  const mean = (word: Word, name: string, unit: string): DayFigure => {
    const m = field(summary, name);
    const value = number(m, "value");
    return { word, value: value === undefined ? "–" : `${format.amount(value)}${unit}`, count: m === undefined ? "" : say("meanOf", { n: number(m, "count") ?? 0 }) };
  };
  return [
    rate("checksPassed", "checksPassed"), rate("firstPass", "firstPass"), rate("onTime", "onTime"), rate("dispatchedInTime", "dispatchedWith60MinutesLeft"),
    mean("yield", "yieldPercentage", " %"), mean("quality", "qualityScore", ""), mean("wastePer100", "wastePer100Portions", " kg"), mean("minutesToRelease", "minutesCookedToReleased", ""),
  ];
}

/** Returns the day that is so many days after another, "2026-11-26" as both are written. */
export function dayBeside(day: string, days: number): string {
  return new Date(Date.parse(`${day}T12:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}
