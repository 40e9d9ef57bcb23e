/**
 * Reading JSON of which nothing is known. What the app publishes is its own affair and may change, so every reader here
 * answers undefined for what is not there or of another type, and never throws.
 */

/** A JSON object. Its fields are read with the functions below, which look at own fields only. */
export type Fields = Readonly<Record<string, unknown>>;

/** The longest id or short text that is taken from a message; a longer one is cut. */
export const MAX_TEXT = 200;

/** Returns v as an object, or undefined for anything else; null and lists are no objects here. */
export function fields(v: unknown): Fields | undefined {
  return typeof v === "object" && v !== null && !Array.isArray(v) ? (v as Fields) : undefined;
}

/** Returns the field called name. A field that every object inherits ("constructor") is not there. */
export function field(v: unknown, name: string): unknown {
  const f = fields(v);
  return f !== undefined && Object.prototype.hasOwnProperty.call(f, name) ? f[name] : undefined;
}

/** Returns a text that is not blank, made harmless by {@link plain}. */
export function text(v: unknown, name: string, max = MAX_TEXT): string | undefined {
  const s = field(v, name);
  if (typeof s !== "string") return undefined;
  const p = plain(s, max).trim();
  return p === "" ? undefined : p;
}

/** Returns a finite number between min and max. A number written as text is none: who writes so may mean something else. */
export function number(v: unknown, name: string, min: number, max: number): number | undefined {
  const n = field(v, name);
  return typeof n === "number" && n >= min && n <= max ? n : undefined;
}

/** Returns an instant in ms since 1970, from a number of ms or an ISO 8601 text. */
export function instant(v: unknown, name: string): number | undefined {
  const t = field(v, name);
  const ms = typeof t === "number" ? t : typeof t === "string" && /^\d{4}-\d\d-\d\dT/.test(t) ? Date.parse(t) : NaN;
  return ms > 0 && ms <= 8.64e15 ? ms : undefined;
}

/** Returns a list, or an empty one. */
export function list(v: unknown, name: string): readonly unknown[] {
  const l = field(v, name);
  return Array.isArray(l) ? (l as readonly unknown[]) : [];
}

/**
 * Returns s cut to max characters and without what could deceive a reader: control characters become "�", and so do the
 * marks that turn the direction of writing around, with which a text can look like another one.
 */
export function plain(s: string, max: number): string {
  const cut = s.length > max ? s.slice(0, max).replace(/[\uD800-\uDBFF]$/, "") + "…" : s;
  return cut.replace(/[\t\n\r]+/g, " ").replace(/[\u0000-\u001F\u007F-\u009F\u200E\u200F\u202A-\u202E\u2066-\u2069\uFEFF]/g, "�");
}

/** Returns v as JSON text for reading, at most max characters. */
export function shown(v: unknown, max: number): string {
  try {
    return plain(JSON.stringify(v) ?? "–", max);
  } catch {
    return "{…}"; // nested deeper than the stack of this browser
  }
}
