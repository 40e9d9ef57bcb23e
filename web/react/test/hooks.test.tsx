// @vitest-environment jsdom
import { act, StrictMode, useState, type ReactNode } from "react";
import { createRoot, hydrateRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { createClient, type Client } from "kentongan";
import { createOutbox } from "kentongan/outbox";

import { FakeServer, URL_OF_SERVER } from "../../client/test/server.ts";
import { KentonganProvider, useChannel, useOutbox, usePresence, useRealtimeProduction, useStatus } from "../src/index.ts";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

const UPDATES = "production:updates:sppg_7";
const ALERTS = "production:alerts:sppg_7";

let server: FakeServer;
let client: Client;
let root: Root | undefined;
let box: HTMLElement;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
  server = new FakeServer([UPDATES]);
  server.channels = new Set([UPDATES, ALERTS, "a", "b"]);
  client = createClient({ url: URL_OF_SERVER, fetch: server.fetch, WebSocket: server.socket });
  box = document.createElement("div");
});

afterEach(async () => {
  await act(async () => root?.unmount());
  root = undefined;
  client.close();
  await pass(30_000);
  expect(vi.getTimerCount(), "timers that are left behind").toBe(0);
  vi.useRealTimers();
});

const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

const wrapped = (children: ReactNode) => (
  <StrictMode>
    <KentonganProvider client={client}>{children}</KentonganProvider>
  </StrictMode>
);

async function show(children: ReactNode): Promise<void> {
  await act(async () => {
    root ??= createRoot(box);
    root.render(wrapped(children));
  });
}

function Channel({ name, onMessage }: { name: string | undefined; onMessage?: (data: unknown) => void }) {
  const { messages, gap, error } = useChannel<string>(name, { keep: 3, onMessage: (m) => onMessage?.(m.data) });
  return <p>{`${messages.map((m) => m.data).join()} ${gap?.cause ?? ""} ${error?.code ?? ""}`}</p>;
}

describe("useChannel", () => {
  test("under StrictMode there is one connection, and each message comes once", async () => {
    const onMessage = vi.fn();
    await show(<Channel name="a" onMessage={onMessage} />);
    await pass(100);
    for (const data of ["1", "2", "3", "4"]) server.publish("a", data);
    await pass(100);
    expect(box.textContent).toBe("2,3,4  ");
    expect(onMessage.mock.calls.flat()).toEqual(["1", "2", "3", "4"]);
    expect(server.requests).toEqual(["WS /api/ws?channels=a"]);
    server.turn("a");
    await pass(100);
    expect(box.textContent).toBe("2,3,4 intake ");
  });

  test("another name is another channel, and none is none", async () => {
    await show(<Channel name="a" />);
    await pass(100);
    await show(<Channel name="b" />);
    await pass(100);
    server.publish("a", "old");
    server.publish("b", "new");
    await pass(100);
    expect(box.textContent).toBe("new  ");
    await show(<Channel name={undefined} />);
    await pass(5000);
    expect([box.textContent, server.connections.length]).toEqual(["  ", 0]);
  });

  test("whoever keeps none keeps none", async () => {
    const seen: number[] = [];
    function None() {
      seen.push(useChannel("a", { keep: 0 }).messages.length);
      return null;
    }
    await show(<None />);
    await pass(100);
    for (let i = 0; i < 5; i++) server.publish("a", i);
    await pass(100);
    expect(new Set(seen)).toEqual(new Set([0]));
  });

  test("a refusal is an answer", async () => {
    await show(<Channel name="nobody's" />);
    await pass(5000);
    expect(box.textContent).toBe("  NO_SUCH_CHANNEL");
  });
});

function Board({ id }: { id?: string }) {
  const { production, productions, alerts, connection, isConnected, lastUpdate } = useRealtimeProduction(id);
  return <p>{`${production?.id}:${production?.status} of ${productions.length} ${alerts.map((a) => a.id).join()} ${connection.health} ${isConnected} ${lastUpdate}`}</p>;
}

describe("useRealtimeProduction", () => {
  const update = (productionId: string, status: string, timestamp: number) =>
    server.publish(UPDATES, { type: "production_update", productionId, data: { status }, timestamp }, productionId);

  test("shows one batch, or the one that changed last, and the alerts", async () => {
    update("p1", "PLANNED", 1);
    await show(<><Board id="p1" /><Board /></>);
    await pass(500);
    update("p2", "COOKING", 5);
    server.publish(ALERTS, { type: "production_alert", productionId: "p2", alert: { id: "x", severity: "HIGH" }, timestamp: 6 });
    await pass(100);
    expect([...box.querySelectorAll("p")].map((p) => p.textContent)).toEqual(["p1:PLANNED of 2  live true 6", "p2:COOKING of 2 x live true 6"]);
    expect(server.requests.filter((q) => q.startsWith("WS"))).toHaveLength(1);
    server.http = "down";
    server.upgrades = "refused";
    server.cut();
    await pass(100);
    expect(box.querySelector("p")?.textContent).toBe("p1:PLANNED of 2  dead false 6");
  });

  test("a message of another batch does not render what shows one that did not change twice", async () => {
    const renders = vi.fn();
    function Counted() {
      renders(useStatus().health);
      return null;
    }
    await show(<><Board /><Counted /></>);
    await pass(500);
    const before = renders.mock.calls.length;
    for (let i = 0; i < 20; i++) update("p1", "COOKING", i + 1);
    await pass(100);
    expect(renders.mock.calls.length).toBe(before);
  });
});

test("usePresence asks while the page is seen", async () => {
  function Who() {
    const { members, at, error } = usePresence("a", 10_000);
    return <p>{`${members.map((m) => m.user).join()} ${at !== undefined} ${error?.code ?? ""}`}</p>;
  }
  await show(<Who />);
  await pass(100);
  expect(box.textContent).toBe("u1 true ");
  server.http = "down";
  await pass(20_000);
  expect(box.textContent).toBe("u1 true UNREACHABLE");
});

test("useOutbox shows what is unsent", async () => {
  const outbox = createOutbox({ url: URL_OF_SERVER, fetch: async () => { throw new Error("no line"); } });
  function Unsent() {
    return <p>{`${useOutbox(outbox).unsent.length} belum terkirim`}</p>;
  }
  await show(<Unsent />);
  await act(async () => void (await outbox.add({ method: "POST", path: "/x", body: 1 })));
  await pass(100);
  expect(box.textContent).toBe("1 belum terkirim");
  outbox.close();
});

describe("rendering on a server", () => {
  const page = (
    <>
      <Board />
      <Channel name="a" />
    </>
  );

  test("makes no connection, and shows nothing that it does not know", async () => {
    expect(renderToString(wrapped(page))).toBe("<p>undefined:undefined of 0  dead false undefined</p><p>  </p>");
    await pass(1000);
    expect(server.requests).toEqual([]);
  });

  test("agrees with the first rendering in the page, which then goes live", async () => {
    const errors = vi.spyOn(console, "error").mockImplementation(() => undefined);
    box.innerHTML = renderToString(wrapped(page));
    await act(async () => {
      root = hydrateRoot(box, wrapped(page), { onRecoverableError: (e) => errors(String(e)) });
    });
    await pass(500);
    server.publish("a", "1");
    await pass(100);
    expect(box.textContent).toContain("live true");
    expect(box.lastChild?.textContent).toBe("1  ");
    expect(errors).not.toHaveBeenCalled();
    errors.mockRestore();
  });
});

test("a hook outside of the provider says so", () => {
  const errors = vi.spyOn(console, "error").mockImplementation(() => undefined);
  expect(() => renderToString(<Channel name="a" />)).toThrow("<KentonganProvider>");
  errors.mockRestore();
});

test("the provider makes one client of its options, whatever is rendered again", async () => {
  let again: (() => void) | undefined;
  function Page() {
    const [n, set] = useState(0);
    again = () => set(n + 1);
    return (
      <KentonganProvider options={{ url: URL_OF_SERVER, fetch: server.fetch, WebSocket: server.socket }}>
        <Channel name="a" />
      </KentonganProvider>
    );
  }
  await act(async () => {
    root = createRoot(box);
    root.render(<Page />);
  });
  await pass(100);
  await act(async () => again?.());
  await pass(2000);
  expect(server.requests).toEqual(["WS /api/ws?channels=a"]);
  await act(async () => root?.unmount());
  await pass(2000);
  expect(server.connections).toHaveLength(0);
});
