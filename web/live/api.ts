/** The HTTP routes that this page uses. */

import { field, fields, list, text } from "./json.ts";
import { channelsOf, isTenant } from "./channel.ts";
import { MAX_CHANNEL } from "./frame.ts";
import type { Denial } from "./connection.ts";
import type { Kitchen } from "./state.ts";

/** The answer to "who am I?": a kitchen to look into, or why there is none. */
export type Admission = { readonly kitchen: Kitchen } | { readonly denial: Denial };

/** How many channels of a connection info are followed; the server's own limit of one connection. */
const MAX_CHANNELS = 100;

/**
 * Asks the server who we are. chosen is the kitchen that somebody with a platform role wants to see, and counts for
 * nothing with everybody else. It throws if the server cannot be reached or has no sensible answer.
 */
export async function admission(chosen: string | undefined, signal: AbortSignal): Promise<Admission> {
  const response = await fetch("/api/ws", { headers: { accept: "application/json" }, cache: "no-store", credentials: "same-origin", signal });
  if (response.status === 401) return { denial: "signed-out" };
  if (response.status === 403) return { denial: readRefusal(await response.json()) };
  if (!response.ok) throw new Error(`connection info: status ${response.status}`);
  return readAdmission(await response.json(), chosen);
}

/** Reads why a status 403 was answered: an account without a kitchen, or anything else about the way in which we came. */
export function readRefusal(answer: unknown): Denial {
  return text(field(answer, "error"), "code") === "no_tenant" ? "forbidden" : "refused";
}

/** Reads the connection info. It throws if it has not the shape that it should have. */
export function readAdmission(answer: unknown, chosen: string | undefined): Admission {
  const data = field(answer, "data");
  if (field(answer, "success") !== true || fields(data) === undefined) throw new Error("connection info: not the expected answer");
  const own = text(data, "sppgId");
  if (own === undefined) {
    if (chosen === undefined || !isTenant(chosen)) return { denial: "choose" };
    return { kitchen: { tenant: chosen, name: undefined, channels: channelsOf(chosen) } };
  }
  const channels = list(data, "channels").filter((c): c is string => typeof c === "string" && c !== "" && c.length <= MAX_CHANNEL);
  const name = text(data, "sppgName", 80);
  return { kitchen: { tenant: own, name, channels: [...new Set(channels)].slice(0, MAX_CHANNELS) } };
}

/**
 * Ends the session of this browser and reports whether the server did it. It is a fetch and no form, for a form of a page
 * with "Referrer-Policy: no-referrer" would tell no origin, and the server would refuse it.
 */
export async function signOut(): Promise<boolean> {
  try {
    const response = await fetch("/signout", { method: "POST", credentials: "same-origin", redirect: "manual" });
    return response.ok || response.type === "opaqueredirect";
  } catch {
    return false;
  }
}
