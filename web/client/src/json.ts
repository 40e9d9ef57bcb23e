/** Reading JSON of which nothing is known: every reader answers undefined for what is not there or of another type. */

export type Fields = Readonly<Record<string, unknown>>;

/** Returns v as an object; null and lists are none here. */
export function fields(v: unknown): Fields | undefined {
  return typeof v === "object" && v !== null && !Array.isArray(v) ? (v as Fields) : undefined;
}

/** Returns the own field called name: what every object inherits ("constructor") is not there. */
export function field(v: unknown, name: string): unknown {
  const f = fields(v);
  return f !== undefined && Object.prototype.hasOwnProperty.call(f, name) ? f[name] : undefined;
}

/** Returns a text that is not empty. */
export function text(v: unknown, name: string): string | undefined {
  const s = field(v, name);
  return typeof s === "string" && s !== "" ? s : undefined;
}

/** Returns a whole number of least to 2^53-1. */
export function whole(v: unknown, name: string, least = 0): number | undefined {
  const n = field(v, name);
  return Number.isSafeInteger(n) && (n as number) >= least ? (n as number) : undefined;
}

/** Returns an instant in ms since 1970, from such a number or an ISO 8601 text. */
export function instant(v: unknown, name: string): number | undefined {
  const t = field(v, name);
  const ms = typeof t === "string" ? Date.parse(t) : t;
  return typeof ms === "number" && ms > 0 && ms <= 8.64e15 ? ms : undefined;
}

/** Returns a list, or an empty one. */
export function list(v: unknown, name: string): readonly unknown[] {
  const l = field(v, name);
  return Array.isArray(l) ? (l as readonly unknown[]) : [];
}

/** Reads JSON; undefined if it is none. */
export function parse(s: string): unknown {
  try {
    return JSON.parse(s);
  } catch {
    return undefined;
  }
}
