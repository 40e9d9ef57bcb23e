import { useSyncExternalStore } from "react";

import { INITIAL_STATUS, type Status } from "kentongan";

import { useKentongan } from "./provider.tsx";

/** How the connection stands, and whether what is shown is known to be the newest. */
export function useStatus(): Status {
  const client = useKentongan();
  return useSyncExternalStore(
    (f) => client.onStatus(f),
    () => client.status(),
    () => INITIAL_STATUS,
  );
}
