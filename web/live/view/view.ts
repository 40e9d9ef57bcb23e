/** What every part of the page is given to show itself with. */

import type { Event, State } from "../state.ts";

export interface View {
  readonly state: State;
  readonly now: number; // ms since 1970, by this device's clock
}

/** A part of the page. It is called with each new state and once a second, for the ages. */
export type Part = (view: View) => void;

export type Dispatch = (event: Event) => void;

/** Returns the server's time, as well as this device knows it. */
export function serverNow({ state, now }: View): number {
  return now + state.skewMs;
}
