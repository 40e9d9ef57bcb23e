/** What the board asks by HTTP. Every answer is read as JSON of which nothing is known. */

import { KentonganError } from "../client/src/http.ts";
import { field, fields, list, parse, text } from "../client/src/json.ts";
import { DEFAULT_ZONE } from "./format.ts";

/** A request that takes longer than this will not be answered. */
const PATIENCE_MS = 15_000;

/** Reads a route of the production service. It throws a KentonganError; status 0 means that the server was not reached. */
export async function read(path: string): Promise<unknown> {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE_MS);
  let status: number;
  let body: string;
  try {
    const headers = { accept: "application/json" };
    const response = await fetch(path, { headers, cache: "no-store", credentials: "same-origin", signal: patience.signal });
    ({ status } = response);
    body = await response.text();
  } catch {
    throw new KentonganError(0, "UNREACHABLE", "the server cannot be reached", true);
  } finally {
    clearTimeout(timer);
  }
  const answer = parse(body);
  if (status >= 200 && status < 300 && fields(answer) !== undefined) return answer;
  const problem = field(answer, "error") ?? answer; // the gateway's errors have another shape
  const code = text(problem, "code") ?? `HTTP_${status}`;
  throw new KentonganError(status, code, text(problem, "detail") ?? text(problem, "message") ?? code, status >= 500 || status === 429);
}

/** Somebody of the kitchen's staff. */
export interface Member {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly hasPin: boolean;
}

/** Limits of the kitchen that the board warns by; the server decides by its own. */
export interface Limits {
  readonly coreMinC: number;
  readonly coldHoldMaxC: number;
  readonly hotHoldMinC: number;
  readonly hygieneMinScore: number;
  readonly sensoryMinRating: number;
}

/** What is known of the kitchen beside its batches. */
export interface Setting {
  readonly name: string | undefined;
  readonly zone: string;
  readonly limits: Limits;
  readonly staff: readonly Member[];
}

const LIMITS: Limits = { coreMinC: 75, coldHoldMaxC: 5, hotHoldMinC: 60, hygieneMinScore: 80, sensoryMinRating: 3 };

export const NO_SETTING: Setting = { name: undefined, zone: DEFAULT_ZONE, limits: LIMITS, staff: [] };

/** Reads the answers to GET /api/kitchen and GET /api/references. */
export function readSetting(kitchen: unknown, references: unknown): Setting {
  const told = field(kitchen, "kitchen");
  const limits: Record<string, number> = { ...LIMITS };
  for (const l of list(kitchen, "limits")) {
    const name = text(l, "name");
    const value = field(l, "value");
    if (name !== undefined && name in LIMITS && typeof value === "number") limits[name] = value;
  }
  return {
    name: text(told, "name"),
    zone: text(told, "timeZone") ?? DEFAULT_ZONE,
    limits: limits as unknown as Limits,
    staff: list(references, "staff").flatMap((p) => {
      const id = text(p, "id");
      if (id === undefined || field(p, "active") !== true) return [];
      return [{ id, name: text(p, "name") ?? id, role: text(p, "role") ?? "", hasPin: field(p, "hasPin") === true }];
    }),
  };
}

/** Ends the session of this browser and reports whether the server did it. */
export async function signOut(): Promise<boolean> {
  try {
    const response = await fetch("/signout", { method: "POST", credentials: "same-origin", redirect: "manual" });
    return response.ok || response.type === "opaqueredirect";
  } catch {
    return false;
  }
}

/** Has the server of the demo cut this visitor's line for so many seconds, or mend it with 0. It throws a KentonganError. */
export async function cutLine(seconds: number): Promise<void> {
  let status: number;
  try {
    const headers = { "content-type": "application/json" };
    ({ status } = await fetch("/api/demo/line", { method: "POST", headers, body: JSON.stringify({ seconds }), credentials: "same-origin" }));
  } catch {
    throw new KentonganError(0, "UNREACHABLE", "the server cannot be reached", true);
  }
  if (status >= 300) throw new KentonganError(status, `HTTP_${status}`, "the line was not cut", false);
}
