/**
 * A recipe: rows that the app fetches with TanStack Query, kept live by Kentongan. Messages change the cached rows at once; a gap has
 * them fetched again, and messages wait for that. Copy it and change what is different in your app.
 */

import { useQuery, useQueryClient, type QueryKey } from "@tanstack/react-query";
import { useCallback } from "react";

import type { Gap, Message } from "kentongan";
import { readEvent, type Production } from "kentongan/production";
import { useChannel } from "kentongan-react";

export const productionsKey = (sppgId: string): QueryKey => ["productions", sppgId];

/** The batches of a kitchen: fetched once by `fetchRows`, then live. */
export function useLiveProductions(sppgId: string, fetchRows: (sppgId: string) => Promise<Production[]>) {
  const cache = useQueryClient();
  const key = productionsKey(sppgId);

  const onMessage = useCallback(
    (m: Message) => {
      const event = readEvent(m);
      if (event?.kind === "updated" || event?.kind === "created") {
        const { productionId: id, changes } = event;
        // Rows that are not there yet come with the fetch that is under way.
        cache.setQueryData<Production[]>(key, (rows) => {
          if (!rows?.some((p) => p.id === id)) return rows && [...rows, { ...changes, id }];
          return rows.map((p) => (p.id === id ? { ...p, ...changes, id } : p));
        });
      } else if (event?.kind === "deleted") {
        cache.setQueryData<Production[]>(key, (rows) => rows?.filter((p) => p.id !== event.productionId));
      }
    },
    [cache, sppgId],
  );
  // refetchQueries throws away nothing that is shown, and the promise holds the messages back until the rows are new.
  const onGap = useCallback((_: Gap) => cache.refetchQueries({ queryKey: key, exact: true }, { throwOnError: true }), [cache, sppgId]);

  useChannel(`production:updates:${sppgId}`, { keep: 0, onMessage, onGap });
  // No polling and no refetch on focus: whoever is live knows that nothing is missing.
  return useQuery({ queryKey: key, queryFn: () => fetchRows(sppgId), staleTime: Infinity, refetchOnWindowFocus: false, refetchOnReconnect: false });
}
