/** Where a client's frames come from: a line of its own, or one that is shared. */

import type { Connection, LineEvent } from "./connection.ts";
import type { Position } from "./frame.ts";
import { Line, type LineOptions, type Wish } from "./line.ts";

export type Role = "alone" | "leader" | "follower";

/** Where frames come from: a line of one's own, or the one that all tabs share. */
export interface Feed {
  readonly role: Role;
  readonly connection: Connection;
  follow(channel: string, wish: Wish | undefined): void;
  position(channel: string): Position | undefined;
  on(event: LineEvent): void;
  /** The page is frozen or put aside from here on, and comes back. */
  sleep(): void;
  awake(): void;
}

/** A tab's own line. */
export class Alone extends Line implements Feed {
  readonly role = "alone";
  sleep(): void {
    // The browser may leave the socket alone; if it does not, that is found out after waking up.
  }
  awake(): void {
    this.on({ kind: "wake" });
  }
}

/** Makes a feed that is shared by all that name the same server; undefined: it cannot be shared here. */
export type Share = (server: string, line: LineOptions) => Feed | undefined;
