/** Alerts as the app tells of them, until they are resolved. */

import { field, fields, number, text } from "./json.ts";
import type { Language } from "./words.ts";

/** The severities, from light to grave. */
export const SEVERITIES = ["LOW", "MEDIUM", "HIGH", "CRITICAL"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** One alert that is not resolved. */
export interface Alert {
  readonly key: string;
  readonly productionId: string | undefined;
  readonly batch: string | undefined;
  readonly code: string | undefined;
  readonly severity: Severity | undefined;
  readonly message: Readonly<Record<Language, string | undefined>>;
  readonly value: number | undefined;
  readonly limit: number | undefined;
  readonly unit: string | undefined;
  readonly acknowledged: boolean;
  readonly raisedAt: number; // ms since 1970, by the server's clock
}

/** How many alerts are kept; the lightest and oldest go first. */
export const MAX_ALERTS = 50;

/** After this time an alert that nobody resolved is no longer shown: apps exist that never tell of an end. One serving day. */
export const ALERT_LIFE_MS = 24 * 3_600_000;

/** A word of the platform to all kitchens. Nobody resolves it; the next one takes its place. */
const SYSTEM = "system_alert";

export type Alerts = ReadonlyMap<string, Alert>;

/** Returns alerts after an event of the app that came at the given time, or alerts itself if the event is no alert. */
export function applyAlert(alerts: Alerts, event: unknown, time: number): Alerts {
  const type = text(event, "type");
  if (type !== "production_alert" && type !== SYSTEM) return alerts;
  const body = field(event, "alert");
  if (fields(body) === undefined) return alerts;

  const productionId = text(event, "productionId") ?? text(body, "productionId");
  const code = text(body, "code", 60) ?? text(body, "type", 60);
  const key = type === SYSTEM ? SYSTEM : (text(body, "id") ?? `${productionId ?? ""} ${code ?? ""}`);
  const state = text(body, "status");
  const next = new Map(alerts);
  next.delete(key);
  for (const a of alerts.values()) if (a.raisedAt < time - ALERT_LIFE_MS) next.delete(a.key);
  if (state === "RESOLVED" || state === "AUTO_RESOLVED") return next;

  next.set(key, {
    key,
    productionId,
    code,
    batch: text(body, "batchNumber", 60),
    severity: severity(body),
    message: messages(body),
    value: number(body, "value", -1e12, 1e12),
    limit: number(body, "limit", -1e12, 1e12),
    unit: text(body, "unit", 12),
    acknowledged: state === "ACKNOWLEDGED",
    raisedAt: alerts.get(key)?.raisedAt ?? time,
  });
  if (next.size > MAX_ALERTS) for (const a of byGravity(next).slice(MAX_ALERTS)) next.delete(a.key);
  return next;
}

/** Returns the alerts, the gravest first, and of the same gravity the newest first. */
export function byGravity(alerts: Alerts): Alert[] {
  return [...alerts.values()].sort((a, b) => grade(b.severity) - grade(a.severity) || b.raisedAt - a.raisedAt || (a.key < b.key ? -1 : 1));
}

/** Returns the gravest severity among the alerts of a production, or undefined if it has none. */
export function gravest(alerts: Alerts, productionId: string): Severity | undefined {
  let found = -1;
  for (const a of alerts.values()) if (a.productionId === productionId) found = Math.max(found, Math.floor(grade(a.severity)));
  return SEVERITIES[found];
}

/** An unknown severity stands before the light ones, so that it does not hide behind trifles. */
function grade(s: Severity | undefined): number {
  return s === undefined ? 0.5 : SEVERITIES.indexOf(s);
}

function severity(body: unknown): Severity | undefined {
  const s = text(body, "severity")?.toUpperCase();
  return SEVERITIES.find((known) => known === s);
}

function messages(body: unknown): Record<Language, string | undefined> {
  const both = text(body, "message", 300);
  const apart = field(body, "message");
  const id = both ?? text(apart, "id", 300);
  const en = both ?? text(apart, "en", 300);
  return { id: id ?? en, en: en ?? id };
}
