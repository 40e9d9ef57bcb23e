/** Which language somebody chose on this device. */

import type { Language } from "./words.ts";

const KEY = "kentongan.language";

/** Returns the language that was chosen on this device; Indonesian if none was. */
export function remembered(): Language {
  try {
    return window.localStorage.getItem(KEY) === "en" ? "en" : "id";
  } catch {
    return "id"; // a browser that keeps nothing
  }
}

/** Keeps the choice, where the browser keeps anything. */
export function remember(language: Language): void {
  try {
    window.localStorage.setItem(KEY, language);
  } catch {
    // The choice then lasts as long as the page.
  }
}
