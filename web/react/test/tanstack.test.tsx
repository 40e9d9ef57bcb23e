// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act } from "react";
import { createRoot } from "react-dom/client";
import { afterEach, expect, test, vi } from "vitest";

import { createClient } from "kentongan";
import type { Production } from "kentongan/production";

import { FakeServer, URL_OF_SERVER } from "../../client/test/server.ts";
import { useLiveProductions } from "../recipes/tanstack-query.ts";
import { KentonganProvider } from "../src/index.ts";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
const UPDATES = "production:updates:sppg_7";

afterEach(() => {
  vi.useRealTimers();
});

test("the recipe: rows are fetched once, go on live, and are fetched again after a gap", async () => {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
  const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
  const server = new FakeServer();
  server.channels.add(UPDATES);
  const client = createClient({ url: URL_OF_SERVER, fetch: server.fetch, WebSocket: server.socket });
  let rows: Production[] = [{ id: "p1", status: "PLANNED" }];
  const fetchRows = vi.fn(async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    return rows;
  });
  function Rows() {
    const { data } = useLiveProductions("sppg_7", fetchRows);
    return <p>{data?.map((p) => `${p.id} ${p.status}`).join()}</p>;
  }
  const box = document.createElement("div");
  const root = createRoot(box);
  await act(async () =>
    root.render(
      <QueryClientProvider client={new QueryClient()}>
        <KentonganProvider client={client}>
          <Rows />
        </KentonganProvider>
      </QueryClientProvider>,
    ),
  );
  await pass(500);
  expect(box.textContent).toBe("p1 PLANNED");
  const update = (id: string, data: object) => server.publish(UPDATES, { type: "production_update", productionId: id, data, timestamp: 1 });
  update("p1", { status: "COOKING" });
  update("p2", { status: "PLANNED" });
  await pass(100);
  expect(box.textContent).toBe("p1 COOKING,p2 PLANNED");
  update("p2", { deleted: true });
  await pass(100);
  expect(box.textContent).toBe("p1 COOKING");
  rows = [{ id: "p1", status: "QUALITY_CHECK" }];
  server.turn(UPDATES);
  update("p1", { status: "COMPLETED" }); // waits for the rows, and is not lost in them
  await pass(1000);
  expect(fetchRows).toHaveBeenCalledTimes(2);
  expect(box.textContent).toBe("p1 COMPLETED");
  await act(async () => root.unmount());
  client.close();
});
