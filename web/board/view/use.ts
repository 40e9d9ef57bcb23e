/** How views get at the state, the words and the clock. */

import { createContext } from "preact";
import { useContext, useEffect, useMemo, useRef, useState } from "preact/hooks";

import { Format } from "../format.ts";
import { readBatch, type Batch } from "../batch.ts";
import { say, type Values, type Word } from "../words.ts";
import type { Board, State } from "../state.ts";
import type { Production } from "../kitchen.ts";

/** The words and formats of a language and kitchen. The same object as long as both stay. */
export interface Words {
  readonly format: Format;
  readonly say: (word: Word, values?: Values) => string;
}

/** Everything that a view needs. A new one with each painting. */
export interface Scene extends Words {
  readonly board: Board;
  readonly state: State;
  readonly now: number; // by the server's clock
  readonly words: Words;
}

export const WordsContext = createContext<Words | undefined>(undefined);

/** For parts that change with the language only: they are not painted anew with each second. */
export function useWords(): Words {
  const words = useContext(WordsContext);
  if (words === undefined) throw new Error("board: a part stands outside of the scene");
  return words;
}

export const SceneContext = createContext<Scene | undefined>(undefined);

export function useScene(): Scene {
  const scene = useContext(SceneContext);
  if (scene === undefined) throw new Error("board: a view stands outside of the scene");
  return scene;
}

/** What is told is seen at once to the eye, and a cheap tablet that is told much keeps its breath: twenty paintings a second at most. */
const PAINT_EVERY_MS = 50;

/** Returns the scene of now: a new one with each second, and soon after each change. */
export function useStage(board: Board): Scene {
  const [, paint] = useState(0);
  useEffect(() => {
    let last = 0;
    let waiting: ReturnType<typeof setTimeout> | undefined;
    const soon = () => {
      if (waiting !== undefined) return;
      const wait = Math.max(0, last + PAINT_EVERY_MS - performance.now());
      waiting = setTimeout(() => {
        waiting = undefined;
        last = performance.now();
        paint((n) => n + 1);
      }, wait);
    };
    const off = board.onState(soon);
    soon(); // what came before we listened
    let tick: ReturnType<typeof setTimeout>;
    const beat = () => {
      soon();
      tick = setTimeout(beat, 1000 - (board.now() % 1000)); // with the kitchen's second
    };
    beat();
    return () => {
      off();
      clearTimeout(waiting);
      clearTimeout(tick);
    };
  }, [board]);
  const state = board.state();
  const { language } = state;
  const { zone } = state.setting;
  const words = useMemo<Words>(
    () => ({ format: new Format(language, zone), say: (word, values) => say(language, word, values) }),
    [language, zone],
  );
  return { board, state, now: board.now(), words, ...words };
}

const read = new WeakMap<Production, Batch>();

/** Returns the batch of a row; the same row gives the same batch. */
export function batchOf(row: Production): Batch {
  let batch = read.get(row);
  if (batch === undefined) read.set(row, (batch = readBatch(row)));
  return batch;
}

/** Puts the focus on an element when it appears. */
export function useFocus<T extends HTMLElement>() {
  const ref = useRef<T>(null);
  useEffect(() => ref.current?.focus(), []);
  return ref;
}
