import { useMemo, useSyncExternalStore } from "react";

import { KentonganError, type Client, type Member } from "kentongan";

import { useKentongan } from "./provider.tsx";

export interface Presence {
  /** Who is on the channel, as of `at`. */
  readonly members: readonly Member[];
  /** When the server was asked, ms since 1970 by the server's clock. Undefined: there was no answer yet. */
  readonly at: number | undefined;
  /** Why the last question had no answer; the members are those of before. */
  readonly error: KentonganError | undefined;
}

const NOBODY: Presence = { members: [], at: undefined, error: undefined };

/** The server counts who is gone for 15 s or so; to ask more often tells nothing new. */
const EVERY_MS = 15_000;

/** Tells who is on a channel, asked every 15 s while the page is seen. Without a name it asks nothing. */
export function usePresence(channel: string | undefined, everyMs = EVERY_MS): Presence {
  const client = useKentongan();
  const store = useMemo(() => presenceStore(client, channel, everyMs), [client, channel, everyMs]);
  return useSyncExternalStore(store.onState, store.state, () => NOBODY);
}

function presenceStore(client: Client, channel: string | undefined, everyMs: number) {
  let current = NOBODY;
  const onState = (f: () => void) => {
    if (channel === undefined) return () => undefined;
    let over = false;
    const ask = async () => {
      if (document.visibilityState === "hidden") return;
      const next = await client.presence(channel).then(
        (members): Presence => ({ members, at: client.now(), error: undefined }),
        (e: unknown): Presence => ({ ...current, error: e instanceof KentonganError ? e : new KentonganError(0, "UNEXPECTED", String(e), true) }),
      );
      if (over) return;
      current = next;
      f();
    };
    const look = () => void ask();
    look();
    const timer = setInterval(look, everyMs);
    document.addEventListener("visibilitychange", look);
    return () => {
      over = true;
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  };
  return { onState, state: () => current };
}
