/**
 * What is known of a kitchen, as a value that pure functions change. Events are folded in by the client's applyEvent; here is what
 * a snapshot of the server adds to that.
 */

import { applyEvent, NO_KITCHEN, readEvent, type Alert, type Kitchen, type Production, type ProductionEvent } from "../client/src/production.ts";
import { field, fields, instant, list, text, whole, type Fields } from "../client/src/json.ts";
import { withPhotos } from "./photo.ts";
import type { Position } from "../client/src/frame.ts";

export { applyEvent, NO_KITCHEN, readEvent, type Alert, type Kitchen, type Production };

/** Returns the kitchen after an event. A photo is added to those of its batch, even if the rest of its event has come by another way. */
export function fold(k: Kitchen, e: ProductionEvent): Kitchen {
  const next = applyEvent(k, e);
  const row = next.productions.get(e.productionId ?? "");
  const note = e.kind === "updated" ? fields(e.changes["photoNote"]) : undefined;
  if (note === undefined || row === undefined) return next;
  return { ...next, productions: new Map(next.productions).set(row.id, withPhotos(row, [note])) };
}

/** The answer to GET /api/productions?active=true. */
export interface Snapshot {
  readonly productions: readonly Production[];
  readonly alerts: readonly Alert[];
  /** By the full name of the channel: the newest event that the snapshot reflects. */
  readonly positions: Readonly<Record<string, Position>>;
}

/** Reads a snapshot; undefined if it is none. */
export function readSnapshot(answer: unknown): Snapshot | undefined {
  if (!Array.isArray(field(answer, "productions"))) return undefined;
  const positions: Record<string, Position> = {};
  const told = fields(field(answer, "positions")) ?? {};
  for (const channel of Object.keys(told)) {
    const epoch = text(told[channel], "epoch");
    const offset = whole(told[channel], "offset");
    if (epoch !== undefined && offset !== undefined) positions[channel] = { epoch, offset };
  }
  return {
    productions: list(answer, "productions").flatMap((p) => (text(p, "id") === undefined ? [] : [fields(p) as Production])),
    alerts: list(answer, "alerts").flatMap((a) => readStored(fields(a))),
    positions,
  };
}

/** An alert of the snapshot, with the same shape as one of an event. */
function readStored(alert: Fields | undefined): Alert[] {
  const latest = ["raisedAt", "risenAt", "acknowledgedAt", "resolvedAt", "escalatedAt"].map((name) => instant(alert, name) ?? 0);
  const timestamp = Math.max(...latest);
  const event = readEvent({ data: { type: "production_alert", productionId: text(alert, "productionId"), alert, timestamp }, time: timestamp });
  return event?.kind === "alert" ? [event.alert] : [];
}

/**
 * Returns the kitchen after a snapshot. before is what was known when the snapshot was asked for, k what is known now: what events have
 * told in between is newer, and stays. Batches go by their version, alerts by their time. Checks and photos are in events only, so those
 * that are known stay with their batch.
 */
export function applySnapshot(before: Kitchen, k: Kitchen, s: Snapshot): Kitchen {
  const productions = new Map<string, Production>();
  for (const p of s.productions) {
    const known = k.productions.get(p.id);
    const newer = known?.version !== undefined && p.version !== undefined && known.version > p.version;
    const rows: Record<string, unknown> = {};
    for (const name of ["qualityChecks", "photoNotes"]) if (known?.[name] !== undefined) rows[name] = known[name];
    productions.set(p.id, newer ? known : { ...rows, ...p });
  }
  for (const p of k.productions.values()) if (!productions.has(p.id) && !before.productions.has(p.id)) productions.set(p.id, p);
  let next: Kitchen = { ...k, productions, alerts: [], ready: true };
  const newer = (a: Alert) => {
    const stored = s.alerts.find((b) => b.id === a.id);
    return stored === undefined ? !before.alerts.some((b) => b.id === a.id) : a.timestamp > stored.timestamp;
  };
  for (const alert of [...s.alerts, ...k.alerts.filter(newer)]) {
    next = applyEvent(next, { kind: "alert", productionId: alert.productionId, alert, timestamp: alert.timestamp });
  }
  return { ...next, lastUpdate: k.lastUpdate };
}

/**
 * Returns the kitchen without batches that are over and whose serving day is before since ("2026-11-25"), as a snapshot would have it: a
 * screen that is never loaded anew would keep them for ever.
 */
export function withoutPast(k: Kitchen, since: string): Kitchen {
  const past = (p: Production) => {
    const day = text(p, "productionDate");
    return (p.status === "COMPLETED" || p.status === "CANCELLED") && day !== undefined && day < since;
  };
  if (![...k.productions.values()].some(past)) return k;
  return { ...k, productions: new Map([...k.productions].filter(([, p]) => !past(p))) };
}

/** What is kept on the device for a start without a line. */
export interface Kept {
  readonly at: number; // when it was known to be the newest, ms since 1970 by the server's clock
  /** How far the server's clock was ahead of the device's: a device that is wrong stays so while nobody tells it the time. */
  readonly skewMs: number;
  readonly productions: readonly Production[];
  readonly alerts: readonly Alert[];
}

export function keep(k: Kitchen, at: number, skewMs: number): Kept {
  return { at, skewMs, productions: [...k.productions.values()], alerts: k.alerts };
}

/**
 * Reads what keep has returned, out of a storage that anybody may have changed; undefined: it is none. now is the device's time: if by
 * it and skewMs it is earlier than when this was kept, the device's clock was set back since, and is that much further behind.
 */
export function readKept(v: unknown, now: number): { readonly kitchen: Kitchen; readonly at: number; readonly skewMs: number } | undefined {
  const at = instant(v, "at");
  const snapshot = readSnapshot({ productions: field(v, "productions"), alerts: list(v, "alerts").map((a) => field(a, "data")) });
  if (at === undefined || snapshot === undefined) return undefined;
  const told = field(v, "skewMs");
  const skewMs = typeof told === "number" && Number.isFinite(told) ? told : 0;
  return { kitchen: applySnapshot(NO_KITCHEN, NO_KITCHEN, snapshot), at, skewMs: Math.max(skewMs, at - now) };
}
