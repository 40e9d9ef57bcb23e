/** What the board says, in words.id.ts and words.en.ts. All languages have the same keys, which the compiler checks. */

import { en } from "./words.en.ts";
import { id, type Word } from "./words.id.ts";

export type { Word };

export type Language = "id" | "en";

const catalogue: Readonly<Record<Language, Readonly<Record<Word, string>>>> = { id, en };

export type Values = Readonly<Record<string, string | number>>;

/** Returns a word with its {places} filled in. A place without a value stays as it is, so that a mistake is seen. */
export function say(language: Language, word: Word, values: Values = {}): string {
  return catalogue[language][word].replace(/\{(\w+)\}/g, (place, name: string) => String(values[name] ?? place));
}

/** Returns the words for a guard that the server names, also for one that is newer than this page. */
export function sayGuard(language: Language, guard: string): string {
  const word = `guard_${guard}`;
  if (isWord(word)) return say(language, word);
  return isWord(guard) ? say(language, guard) : say(language, "guard_other", { name: guard });
}

/** Returns the words for a code of a refusal. */
export function sayCode(language: Language, code: string): string {
  const word = `code_${code}`;
  return isWord(word) ? say(language, word) : say(language, "code_other", { code });
}

function isWord(word: string): word is Word {
  return Object.prototype.hasOwnProperty.call(id, word);
}

/** Returns all words of a language, for tests of the catalogue. */
export function words(language: Language): Readonly<Record<Word, string>> {
  return catalogue[language];
}
