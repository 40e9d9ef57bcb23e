/** How times and numbers are written: id-ID or en-GB, 24 hours, with the name of the Indonesian time zone. */

import { say, type Language } from "./words.ts";

/** What is shown for something that is not known; never 0. */
export const UNKNOWN = "–";

const LOCALES: Readonly<Record<Language, string>> = { id: "id-ID", en: "en-GB" };
const numbers: Readonly<Record<Language, Intl.NumberFormat>> = {
  id: new Intl.NumberFormat(LOCALES.id, { maximumFractionDigits: 1 }),
  en: new Intl.NumberFormat(LOCALES.en, { maximumFractionDigits: 1 }),
};

/** Returns n with one digit after the point at most: 1.234,5. */
export function amount(language: Language, n: number | undefined): string {
  return n === undefined ? UNKNOWN : numbers[language].format(n);
}

/** Returns how long ago something was. What lies ahead, by a clock that is a bit off, was just now. */
export function age(language: Language, ms: number): string {
  const s = Math.floor(ms / 1000);
  if (s < 1) return say(language, "now");
  if (s < 60) return say(language, "seconds", { n: s });
  if (s < 3600) return say(language, "minutes", { n: Math.floor(s / 60) });
  if (s < 86_400) return say(language, "hours", { n: Math.floor(s / 3600) });
  return say(language, "days", { n: Math.floor(s / 86_400) });
}

/** Returns the time of day on this device: "14.05" in Indonesian, "14:05" in English; with seconds if wanted. */
export function clock(language: Language, ms: number, seconds = false): string {
  const d = new Date(ms);
  const parts = [d.getHours(), d.getMinutes(), ...(seconds ? [d.getSeconds()] : [])];
  return parts.map((n) => String(n).padStart(2, "0")).join(language === "id" ? "." : ":");
}

/** Returns the name of the Indonesian time zone with this offset from UTC (as Date gives it, in minutes west), or "". */
export function zone(minutesWest: number): string {
  switch (minutesWest) {
    case -420:
      return "WIB";
    case -480:
      return "WITA";
    case -540:
      return "WIT";
    default:
      return "";
  }
}

/** Returns the name of this device's time zone at a time, or "" if it is none of Indonesia. */
export function zoneAt(ms: number): string {
  return zone(new Date(ms).getTimezoneOffset());
}
