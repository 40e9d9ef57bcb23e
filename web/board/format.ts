/** How numbers and times are written: id-ID or en-GB, 24 hours, in the kitchen's own zone whatever the device's is. */

import { say, type Language } from "./words.ts";

/** What is shown for something that is not known; never 0. */
export const UNKNOWN = "–";

/** The zones of Indonesia by their IANA names. */
const ZONES: Readonly<Record<string, string>> = {
  "Asia/Jakarta": "WIB",
  "Asia/Pontianak": "WIB",
  "Asia/Makassar": "WITA",
  "Asia/Jayapura": "WIT",
};

/** What a kitchen has that set no zone; the server says the same. */
export const DEFAULT_ZONE = "Asia/Jakarta";

const LOCALES: Readonly<Record<Language, string>> = { id: "id-ID", en: "en-GB" };
const numbers: Readonly<Record<Language, Intl.NumberFormat>> = {
  id: new Intl.NumberFormat(LOCALES.id, { maximumFractionDigits: 1 }),
  en: new Intl.NumberFormat(LOCALES.en, { maximumFractionDigits: 1 }),
};
const clocks = new Map<string, Intl.DateTimeFormat>();

/** Formats for one language and kitchen. */
export class Format {
  readonly language: Language;
  readonly zone: string;

  constructor(language: Language, zone: string) {
    this.language = language;
    this.zone = zone in ZONES ? zone : DEFAULT_ZONE;
  }

  /** Returns WIB, WITA or WIT. */
  get zoneName(): string {
    return ZONES[this.zone] ?? "";
  }

  /** Returns n with one digit after the point at most: 1.234,5. */
  amount(n: number | undefined): string {
    return n === undefined ? UNKNOWN : numbers[this.language].format(n);
  }

  degrees(n: number | undefined): string {
    return n === undefined ? UNKNOWN : `${this.amount(n)} °C`;
  }

  percent(n: number | undefined): string {
    return n === undefined ? UNKNOWN : `${this.amount(n)} %`;
  }

  /** Returns the time of day in the kitchen: "14.05" in Indonesian, "14:05" in English; with seconds if wanted. */
  clock(ms: number | undefined, seconds = false): string {
    if (ms === undefined) return UNKNOWN;
    const parts = formatter(this.zone, seconds ? "clock-s" : "clock").formatToParts(ms);
    const part = (type: string) => parts.find((p) => p.type === type)?.value ?? "";
    const digits = [part("hour"), part("minute"), ...(seconds ? [part("second")] : [])];
    return digits.join(this.language === "id" ? "." : ":");
  }

  /** Returns "Kamis, 26 November 2026". */
  longDay(ms: number): string {
    return formatter(this.zone, `long-${this.language}`).format(ms);
  }

  /** Returns the day in the kitchen as the server writes it: 2026-11-26. */
  day(ms: number): string {
    const parts = formatter(this.zone, "day").formatToParts(ms);
    const part = (type: string) => parts.find((p) => p.type === type)?.value ?? "";
    return `${part("year")}-${part("month")}-${part("day")}`;
  }

  /** Returns from when to when something lasts; one mark if neither is known. */
  span(from: number | undefined, to: number | undefined): string {
    return from === undefined && to === undefined ? UNKNOWN : `${this.clock(from)}–${this.clock(to)}`;
  }

  /** Returns how long ago something was. What lies ahead, by a clock that is a bit off, was just now. */
  age(ms: number): string {
    const s = Math.floor(ms / 1000);
    if (s < 2) return say(this.language, "now");
    if (s < 60) return say(this.language, "seconds", { n: s });
    if (s < 3600) return say(this.language, "minutes", { n: Math.floor(s / 60) });
    return say(this.language, "hours", { n: Math.floor(s / 3600) });
  }
}

/** Returns a countdown: "2:05:09", below an hour "59:09"; "-3:00" when it is over. */
export function countdown(ms: number): string {
  const s = ms < 0 ? Math.floor(-ms / 1000) : Math.ceil(ms / 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  const text = s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
  return ms < 0 && s > 0 ? `-${text}` : text;
}

/** Formatters are dear to make, and a board writes hundreds of times a second. */
function formatter(zone: string, kind: string): Intl.DateTimeFormat {
  const key = `${zone} ${kind}`;
  let f = clocks.get(key);
  if (f === undefined) {
    const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
    if (kind === "clock") f = new Intl.DateTimeFormat("en-GB", { ...clock, timeZone: zone });
    else if (kind === "clock-s") f = new Intl.DateTimeFormat("en-GB", { ...clock, second: "2-digit", timeZone: zone });
    else if (kind === "day") f = new Intl.DateTimeFormat("en-GB", { year: "numeric", month: "2-digit", day: "2-digit", timeZone: zone });
    else f = new Intl.DateTimeFormat(kind === "long-id" ? "id-ID" : "en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric", timeZone: zone });
    clocks.set(key, f);
  }
  return f;
}
