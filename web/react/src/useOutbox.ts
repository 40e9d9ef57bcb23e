import { useSyncExternalStore } from "react";

import type { Outbox, OutboxState } from "kentongan/outbox";

const EMPTY: OutboxState = { unsent: [], state: "idle", durable: true };

/** What of an outbox the server does not have yet. */
export function useOutbox(outbox: Outbox): OutboxState {
  return useSyncExternalStore(
    (f) => outbox.onState(f),
    () => outbox.state(),
    () => EMPTY,
  );
}
