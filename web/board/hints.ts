/**
 * What is still missing for the next step, as far as this device knows it. It is a help and no rule: the server decides, and lists what
 * it finds missing in the same words. What is not known here is not claimed.
 */

import { latestChecks, type Batch, type CheckType } from "./batch.ts";
import type { Alert, Production } from "./kitchen.ts";
import { list, text, instant } from "../client/src/json.ts";
import { withPhotos } from "./photo.ts";
import type { Limits } from "./api.ts";

export interface Known {
  readonly batch: Batch;
  readonly row: Production;
  readonly alerts: readonly Alert[]; // of the batch
  /** All checks of the batch were read; else only those are known that came while the page was open. */
  readonly complete: boolean;
  readonly limits: Limits;
  readonly now: number; // by the server's clock
}

/** Returns the guards of the next step that do not hold, by the names of the server. */
export function missing(k: Known): string[] {
  const { batch: b } = k;
  const checks = latestChecks(k.row);
  const lacks = (type: CheckType) => (checks.has(type) ? checks.get(type) === false : k.complete);
  const unmet: string[] = [];
  const want = (guard: string, holds: boolean) => {
    if (!holds) unmet.push(guard);
  };
  switch (b.status) {
    case "PLANNED":
      want("HEAD_COOK_SET", b.headCook !== undefined);
      break;
    case "PREPARING":
      want("HYGIENE_PASSED", !lacks("HYGIENE"));
      break;
    case "COOKING":
      want("READING_IN_COOKING", b.celsius !== undefined || b.mode === "COLD");
      want("ACTUAL_PORTIONS", (b.portions ?? 0) >= 1);
      break;
    case "QUALITY_CHECK":
      for (const type of ["TEMPERATURE", "TASTE", "APPEARANCE", "SAFETY", "HYGIENE"] as const) want(`${type}_PASSED`, !lacks(type));
      want("CORE_TEMPERATURE", b.mode === "COLD" || coreHolds(b, k.limits));
      want("NO_OPEN_CRITICAL_ALERT", !k.alerts.some((a) => a.severity === "CRITICAL"));
      want("BEFORE_CONSUME_BY", b.consumeBy === undefined || k.now < b.consumeBy);
      want("SAMPLE_TAKEN", b.sampleTaken !== undefined);
      break;
    default:
  }
  return unmet;
}

function coreHolds(b: Batch, limits: Limits): boolean {
  const hot = b.dishes.filter((d) => !d.cold);
  if (b.dishes.length === 0) return b.celsius !== undefined && b.celsius >= limits.coreMinC;
  return hot.every((d) => d.celsius !== undefined && d.celsius >= limits.coreMinC);
}

/** Returns a row with the checks and photos of an answer to GET /api/productions/{id}/records; those of events that it lacks stay. */
export function withRecords(row: Production, records: unknown): Production {
  const read = list(records, "checks");
  const ids = new Set(read.map((c) => text(c, "id")));
  const events = list(row, "qualityChecks").filter((c) => !ids.has(text(c, "id")));
  const all = [...read, ...events].sort((a, b) => (instant(a, "checkTime") ?? 0) - (instant(b, "checkTime") ?? 0));
  return withPhotos({ ...row, qualityChecks: all }, list(records, "photoNotes"));
}
