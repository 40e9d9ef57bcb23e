import { useMemo, useSyncExternalStore } from "react";

import type { Client, Status } from "kentongan";
import { kitchenOf, NO_KITCHEN, type Alert, type KitchenOptions, type KitchenStore, type Production } from "kentongan/production";

import { useKentongan } from "./provider.tsx";
import { useStatus } from "./useStatus.ts";

export interface RealtimeProduction {
  /** The batch that was asked for; without an id the one that changed last. Undefined: nothing is known of it. */
  readonly production: Production | undefined;
  /** All batches of the kitchen. */
  readonly productions: readonly Production[];
  /** The alerts that are not resolved, of the batch if one was asked for, the gravest first. */
  readonly alerts: readonly Alert[];
  /** How the connection stands. Show `production` as old unless `connection.fresh`. */
  readonly connection: Status;
  /** There is a line to the server. */
  readonly isConnected: boolean;
  /** When the last change was published, ms since 1970 by the server's clock. */
  readonly lastUpdate: number | undefined;
}

/** One store for each client and kitchen, whoever asks for it: the channels are followed and folded once. */
const stores = new WeakMap<Client, Map<string, KitchenStore>>();

function storeOf(client: Client, options: KitchenOptions): KitchenStore {
  const ofClient = stores.get(client) ?? new Map<string, KitchenStore>();
  stores.set(client, ofClient);
  const key = options.sppgId ?? "";
  const store = ofClient.get(key) ?? kitchenOf(client, options);
  ofClient.set(key, store);
  return store;
}

/**
 * Follows the production of the kitchen: one batch, or all. The options count for the first who asks for this kitchen.
 */
export function useRealtimeProduction(productionId?: string, options: KitchenOptions = {}): RealtimeProduction {
  const client = useKentongan();
  const store = useMemo(() => storeOf(client, options), [client, options.sppgId]);
  const kitchen = useSyncExternalStore(store.onState, store.state, () => NO_KITCHEN);
  const connection = useStatus();
  return useMemo(() => {
    const productions = [...kitchen.productions.values()];
    return {
      production: productionId === undefined ? productions.at(-1) : kitchen.productions.get(productionId),
      productions,
      alerts: productionId === undefined ? kitchen.alerts : kitchen.alerts.filter((a) => a.productionId === productionId),
      connection,
      isConnected: connection.phase === "open",
      lastUpdate: kitchen.lastUpdate,
    };
  }, [kitchen, connection, productionId]);
}
