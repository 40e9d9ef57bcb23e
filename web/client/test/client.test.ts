import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { createClient, INITIAL_STATUS, type Client, type ClientOptions, type Gap, type Listener, type Message } from "../src/index.ts";
import { FakeServer, LATENCY_MS, URL_OF_SERVER } from "./server.ts";

let server: FakeServer;
let clients: Client[];

beforeEach(() => {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  server = new FakeServer();
  clients = [];
});

afterEach(async () => {
  for (const c of clients) c.close();
  await pass(60_000);
  expect(vi.getTimerCount(), "timers that are left behind").toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

function client(options: ClientOptions = {}): Client {
  const c = createClient({ url: URL_OF_SERVER, fetch: server.fetch, WebSocket: server.socket, ...options });
  clients.push(c);
  return c;
}

/** Keeps what a listener gets. */
function record(gap?: Listener["gap"]): Listener & { got: unknown[]; gaps: Gap[]; errors: string[] } {
  const got: unknown[] = [];
  const gaps: Gap[] = [];
  const errors: string[] = [];
  return {
    got, gaps, errors,
    message: (m: Message) => got.push(m.data),
    gap: (g) => {
      gaps.push(g);
      return gap?.(g);
    },
    error: (e) => errors.push(e.code),
  };
}

describe("following a channel", () => {
  test("one round trip brings it, with the channel in the upgrade", async () => {
    const r = record();
    const c = client();
    expect(c.status()).toBe(INITIAL_STATUS);
    c.subscribe("a", r);
    await pass(3 * LATENCY_MS);
    expect(server.requests).toEqual(["WS /api/ws?channels=a"]);
    expect(c.status()).toMatchObject({ health: "live", fresh: true, phase: "open", transport: "websocket", role: "alone" });
    server.publish("a", 1);
    server.publish("b", "not ours");
    await pass(LATENCY_MS);
    expect(r.got).toEqual([1]);
  });

  test("what was missed comes after a cut, once and in order, without a word more", async () => {
    const r = record();
    const c = client();
    const s = c.subscribe("a", r);
    await pass(100);
    const want: number[] = [];
    for (let round = 0; round < 5; round++) {
      want.push(want.length);
      server.publish("a", want.length - 1);
      await pass(LATENCY_MS);
      server.cut();
      for (let i = 0; i < 3; i++) {
        want.push(want.length);
        server.publish("a", want.length - 1);
      }
      await pass(1000);
    }
    expect(r.got).toEqual(want);
    expect(r.gaps).toEqual([]);
    expect(s.position()).toEqual({ epoch: "e1", offset: 20 });
    expect(server.requests.filter((q) => !q.startsWith("WS "))).toEqual([]);
    expect(server.requests.at(-1)).toBe("WS /api/ws?channels=a@e1/17");
  });

  test("several channels share one connection; later ones are subscribed to on it", async () => {
    const a = record();
    const b = record();
    const c = client();
    c.subscribe("a", a);
    await pass(100);
    c.subscribe("b", b);
    expect(c.status().health).toBe("behind");
    await pass(100);
    expect(c.status().health).toBe("live");
    server.publish("b", 1);
    await pass(LATENCY_MS);
    server.cut();
    server.publish("b", 2);
    server.publish("a", 3);
    await pass(1000);
    expect([a.got, b.got]).toEqual([[3], [1, 2]]);
    expect(server.requests.at(-1)).toBe("WS /api/ws?channels=a@e1/0,b@e2/1");
  });

  test("a second listener of a channel gets what comes from then on, or from its own position by HTTP", async () => {
    const c = client();
    c.subscribe("a", record());
    await pass(100);
    for (let i = 0; i < 4; i++) server.publish("a", i);
    await pass(100);
    const late = record();
    const back = record();
    c.subscribe("a", late);
    c.subscribe("a", back, { since: { epoch: "e1", offset: 1 } });
    await pass(5); // while the history is on its way
    server.publish("a", 4);
    await pass(100);
    expect([late.got, back.got]).toEqual([[4], [1, 2, 3, 4]]);
    expect(server.requests.filter((q) => q.includes("history"))).toEqual(["GET /api/history?channel=a&limit=500&epoch=e1&offset=1"]);
  });

  test("the page may have been rendered from a position", async () => {
    for (let i = 0; i < 3; i++) server.publish("a", i);
    const r = record();
    client().subscribe("a", r, { since: { epoch: "e1", offset: 1 } });
    await pass(100);
    expect(r.got).toEqual([1, 2]);
  });

  test("unsubscribing the last one gives the connection up, but not at once", async () => {
    const c = client();
    const s = c.subscribe("a", record());
    await pass(100);
    s.unsubscribe();
    c.subscribe("a", record()).unsubscribe();
    await pass(500);
    expect(server.connections).toHaveLength(1);
    await pass(600);
    expect(server.connections).toHaveLength(0);
    expect(c.status()).toMatchObject({ phase: "idle", health: "dead" });
    c.subscribe("a", record());
    await pass(100);
    expect(server.connections).toHaveLength(1);
  });

  test("a channel that may not be followed is told to its listener alone", async () => {
    const bad = record();
    const good = record();
    const c = client();
    c.subscribe("nobody's", bad);
    c.subscribe("a", good);
    await pass(2000);
    expect(bad.errors).toEqual(["NO_SUCH_CHANNEL"]);
    expect(c.status()).toMatchObject({ health: "live", transport: "websocket" });
    server.publish("a", 1);
    await pass(LATENCY_MS);
    expect(good.got).toEqual([1]);
  });

  test("an address is never longer than proxies bear", async () => {
    const c = client();
    for (let i = 0; i < 90; i++) {
      const name = `channel:${i}:${"x".repeat(40)}`;
      server.channels.add(name);
      c.subscribe(name, record());
    }
    await pass(1000);
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]!.length).toBeLessThan(2000);
    expect(server.connections[0]!.follows.size).toBe(90);
    expect(c.status().health).toBe("live");
  });
});

describe("gaps", () => {
  test("messages wait for the refetch, and come after it", async () => {
    let done: (() => void) | undefined;
    const r = record(() => new Promise<void>((resolve) => (done = resolve)));
    const c = client();
    c.subscribe("a", r);
    await pass(100);
    server.turn("a");
    await pass(LATENCY_MS);
    expect(r.gaps).toEqual([{ channel: "a", cause: "intake", position: { epoch: "e2", offset: 0 }, snapshot: undefined }]);
    expect(c.status()).toMatchObject({ health: "behind" });
    server.publish("a", "after");
    await pass(20_000);
    expect(r.got).toEqual([]);
    expect(c.status().fresh).toBe(false);
    done?.();
    await pass(LATENCY_MS);
    expect(r.got).toEqual(["after"]);
    await pass(10_000);
    expect(c.status()).toMatchObject({ health: "live", fresh: true });
  });

  test("a refetch that fails is done again", async () => {
    let tries = 0;
    const errors: unknown[] = [];
    const r = record(async () => {
      if (++tries < 3) throw new Error("no line");
    });
    const c = client({ onError: (e) => errors.push(e) });
    c.subscribe("a", r);
    await pass(100);
    server.turn("a");
    server.publish("a", 1);
    await pass(500);
    expect([tries, r.got]).toEqual([1, []]);
    await pass(5000);
    expect([tries, r.got, errors.length]).toEqual([3, [1], 2]);
  });

  test("what the history no longer holds is told at the reconnect", async () => {
    const r = record();
    const c = client();
    c.subscribe("a", r);
    await pass(100);
    server.publish("a", 1);
    await pass(100);
    server.cut();
    for (let i = 2; i < 6; i++) server.publish("a", i);
    server.trim("a", 3);
    await pass(1000);
    expect(r.gaps.map((g) => [g.cause, g.position.offset])).toEqual([["expired", 5]]);
    server.publish("a", 6);
    await pass(100);
    expect(r.got).toEqual([1, 6]);
  });

  test("a snapshot is the beginning, and mends a gap", async () => {
    server.publish("a", "p1 old", "p1");
    server.publish("a", "p2", "p2");
    server.publish("a", "p1 new", "p1");
    const r = record();
    const c = client();
    c.subscribe("a", r, { snapshot: true });
    await pass(100);
    expect(server.requests).toEqual(["WS /api/ws?channels=a&snapshot=1"]);
    expect(r.gaps.map((g) => [g.cause, g.snapshot?.map((m) => m.data)])).toEqual([["snapshot", ["p2", "p1 new"]]]);
    server.turn("a");
    server.publish("a", "p3", "p3");
    await pass(100);
    expect(r.gaps.map((g) => [g.cause, g.snapshot?.map((m) => m.data)])[1]).toEqual(["intake", ["p3"]]);
    server.publish("a", "p4", "p4");
    await pass(100);
    expect(r.got).toEqual(["p4"]);
    expect(c.status().health).toBe("live");
  });

  test("a snapshot of a channel that keeps none is simply none", async () => {
    const r = record();
    const c = client();
    c.subscribe("b", r, { snapshot: true });
    await pass(100);
    server.publish("b", 1);
    await pass(100);
    expect([r.gaps, r.got, c.status().health]).toEqual([[], [1], "live"]);
    server.turn("b");
    await pass(100);
    expect(r.gaps.map((g) => [g.cause, g.snapshot])).toEqual([["intake", undefined]]);
  });

  test("a message that was lost on a living line is found by the heartbeat, and read", async () => {
    const r = record();
    const c = client();
    c.subscribe("a", r);
    await pass(100);
    const peer = server.connections[0]!;
    peer.follows.clear();
    server.publish("a", 1);
    peer.follows.add("a");
    server.heartbeat();
    await pass(100);
    expect(r.got).toEqual([]); // it might have been overtaken
    server.heartbeat();
    await pass(100);
    expect(r.got).toEqual([1]);
    peer.follows.clear();
    server.publish("a", 2);
    peer.follows.add("a");
    server.publish("a", 3);
    await pass(100);
    expect(r.got).toEqual([1, 2, 3]);
    expect(c.status().health).toBe("live");
  });
});

describe("a bad line", () => {
  test("that dies without a word is found out in time, and nothing is shown as fresh meanwhile", async () => {
    const r = record();
    const c = client();
    c.subscribe("a", r);
    await pass(100);
    const seen: [number, string, boolean][] = [];
    const start = Date.now();
    c.onStatus((s) => seen.push([Math.round((Date.now() - start) / 1000), s.health, s.fresh]));
    server.vanish();
    server.publish("a", 1);
    server.upgrades = "hang";
    server.http = "hangs";
    await pass(20_000);
    expect(seen).toEqual([[9, "quiet", true], [15, "quiet", false], [15, "dead", false], [15, "dead", false]]);
    server.upgrades = "work";
    server.http = "works";
    await pass(40_000);
    expect(r.got).toEqual([1]);
    expect(c.status()).toMatchObject({ health: "live", fresh: true });
  });

  test("that swallows WebSockets leads to SSE, and nothing is missed on the way", async () => {
    const r = record();
    const c = client();
    c.subscribe("a", r);
    await pass(100);
    server.publish("a", 1);
    await pass(100);
    server.upgrades = "refused";
    server.cut();
    server.publish("a", 2);
    await pass(5000);
    expect(c.status()).toMatchObject({ health: "live", transport: "sse" });
    expect(r.got).toEqual([1, 2]);
    server.publish("a", 3);
    server.turn("a");
    server.publish("a", 4);
    await pass(100);
    expect([r.got, r.gaps.length]).toEqual([[1, 2, 3, 4], 1]);
    server.upgrades = "work";
    await pass(300_000);
    server.cut();
    server.publish("a", 5);
    await pass(2000);
    expect(c.status().transport).toBe("websocket");
    expect(r.got).toEqual([1, 2, 3, 4, 5]);
  });

  test("SSE carries new channels, snapshots, and the refusal of one channel", async () => {
    server.upgrades = "hang";
    server.publish("a", "p1", "p1");
    const a = record();
    const b = record();
    const bad = record();
    const c = client();
    c.subscribe("a", a, { snapshot: true });
    await pass(15_000);
    expect(a.gaps.map((g) => g.snapshot?.map((m) => m.data))).toEqual([["p1"]]);
    c.subscribe("b", b);
    await pass(1000);
    server.publish("b", 1);
    server.publish("a", 2);
    await pass(100);
    expect([a.got, b.got]).toEqual([[2], [1]]);
    c.subscribe("nobody's", bad);
    await pass(5000);
    expect(bad.errors).toEqual(["NO_SUCH_CHANNEL"]);
    server.publish("a", 3);
    await pass(100);
    expect(a.got).toEqual([2, 3]);
    expect(c.status().health).toBe("live");
  });

  test("an event stream that goes on is not called live before it has brought what was missed", async () => {
    const r = record();
    const c = client({ WebSocket: null });
    c.subscribe("a", r);
    await pass(100);
    server.publish("a", 0);
    await pass(100);
    server.cut();
    for (let i = 1; i <= 3; i++) server.publish("a", i);
    const lived: unknown[] = [];
    c.onStatus((s) => s.health === "live" && lived.push(r.got.length));
    await pass(2000);
    expect([r.got, lived]).toEqual([[0, 1, 2, 3], [4]]);
  });

  test("without WebSocket in the runtime it is SSE from the start", async () => {
    const r = record();
    const c = client({ WebSocket: null });
    c.subscribe("a", r);
    await pass(100);
    server.publish("a", 1);
    await pass(100);
    expect([r.got, c.status().transport, server.requests]).toEqual([[1], "sse", ["GET /api/sse?channels=a"]]);
  });

  test("a server that is full is asked again when it says", async () => {
    server.status = 503;
    server.retryAfter = 30;
    const c = client();
    c.subscribe("a", record());
    await pass(29_000);
    expect(server.requests).toHaveLength(2);
    server.status = 200;
    await pass(2000);
    expect(c.status().health).toBe("live");
  });

  test("somebody may press the button", async () => {
    server.http = "down";
    server.upgrades = "refused";
    const c = client();
    c.subscribe("a", record());
    await pass(120_000);
    const tries = server.requests.length;
    expect(tries).toBeLessThan(40);
    server.http = "works";
    server.upgrades = "work";
    c.retry();
    await pass(100);
    expect(c.status().health).toBe("live");
  });
});

describe("the server's words", () => {
  test("stale is shown as stale until fresh", async () => {
    const c = client();
    c.subscribe("a", record());
    await pass(100);
    server.say({ stale: { since: 1_799_999_999_000, reason: "engine" } });
    await pass(100);
    expect(c.status()).toMatchObject({ health: "stale", fresh: false, staleSince: 1_799_999_999_000, staleReason: "engine" });
    await pass(30_000);
    expect(c.status().health).toBe("stale");
    server.say({ fresh: { time: server.now() } });
    await pass(100);
    expect(c.status()).toMatchObject({ health: "live", fresh: true, staleSince: undefined });
  });

  test("goaway is left at its time, and nothing is missed", async () => {
    const r = record();
    const c = client();
    c.subscribe("a", r);
    await pass(100);
    server.say({ goaway: { reconnectInMs: 1500, reason: "drain" } });
    await pass(1000);
    server.publish("a", 1);
    expect(server.requests).toHaveLength(1);
    await pass(600);
    server.publish("a", 2);
    await pass(100);
    expect([server.requests.length, r.got, c.status().health]).toEqual([2, [1, 2], "live"]);
  });

  test("revoked is the end, also at the end of a stream", async () => {
    for (const options of [{}, { WebSocket: null }]) {
      const c = client(options);
      c.subscribe("a", record());
      await pass(100);
      if (options.WebSocket === null) server.say({ goaway: { reconnectInMs: 0, reason: "revoked" } });
      await pass(LATENCY_MS);
      server.cut(4500);
      const before = server.requests.length;
      await pass(100_000);
      expect(c.status()).toMatchObject({ phase: "ended", end: { code: 4500 }, health: "dead", fresh: false });
      expect(server.requests).toHaveLength(before);
      c.close();
    }
  });

  test("the clock is the server's", async () => {
    server.skewMs = -3_600_000;
    const c = client();
    c.subscribe("a", record());
    await pass(100);
    expect(Math.abs(c.now() - server.now())).toBeLessThanOrEqual(LATENCY_MS);
  });
});

describe("sessions", () => {
  test("who is not signed in learns it, and may come back", async () => {
    server.status = 401;
    const c = client();
    c.subscribe("a", record());
    await pass(5000);
    expect(c.status()).toMatchObject({ phase: "denied", denial: { status: 401, code: "C401" } });
    expect(server.requests).toHaveLength(2);
    server.status = 200;
    c.retry();
    await pass(100);
    expect(c.status().health).toBe("live");
  });

  test("a session that ended is renewed, once", async () => {
    server.status = 401;
    const renew = vi.fn(async () => {
      server.status = 200;
    });
    const c = client({ renew });
    c.subscribe("a", record());
    await pass(5000);
    expect(renew).toHaveBeenCalledTimes(1);
    expect(c.status().health).toBe("live");
  });

  test("a live one is extended before its end, on the same connection", async () => {
    server.expires = Date.now() + 600_000;
    server.onExtend = () => (server.expires = server.now() + 600_000);
    const renew = vi.fn(async () => undefined);
    const c = client({ renew });
    c.subscribe("a", record());
    await pass(100);
    for (let t = 0; t < 1_800_000; t += 5_000) {
      await pass(5_000);
      server.heartbeat();
    }
    expect(server.requests.filter((q) => q === "POST /api/ws/extend")).toHaveLength(3);
    expect(renew).toHaveBeenCalledTimes(3);
    expect(server.requests.filter((q) => q.startsWith("WS"))).toHaveLength(1);
    expect(c.status().health).toBe("live");
  });

  test("a month is not too long for a timer", async () => {
    server.expires = Date.now() + 30 * 86_400_000;
    const c = client();
    c.subscribe("a", record());
    await pass(60_000);
    expect(server.requests).toEqual(["WS /api/ws?channels=a"]);
    expect(c.status().health).toBe("live");
  });

  test("a program sends its token with the upgrade", async () => {
    const c = client({ token: async () => "secret" });
    c.subscribe("a", record());
    await pass(100);
    expect([server.requests, server.credentials]).toEqual([["WS /api/ws?channels=a"], ["Bearer secret"]]);
  });

  test("a page with a token buys a ticket for each connection, and no token stands in an address", async () => {
    const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
    vi.stubGlobal("document", page);
    vi.stubGlobal("window", page);
    const c = client({ token: async () => "secret" });
    c.subscribe("a", record());
    await pass(100);
    expect(server.requests).toEqual(["POST /api/ticket", "WS /api/ws?channels=a&ticket=t1"]);
    server.upgrades = "hang";
    server.cut();
    await pass(15_000);
    expect(c.status()).toMatchObject({ health: "live", transport: "sse" });
    expect(server.requests.join()).not.toContain("secret");
    expect(server.credentials).toEqual([undefined, undefined]);
  });
});

describe("the device", () => {
  test("slept: the line is asked at once, and was dead", async () => {
    const r = record();
    const c = client();
    c.subscribe("a", r);
    await pass(100);
    server.vanish();
    server.publish("a", 1);
    vi.setSystemTime(Date.now() + 3_600_000); // timers stood still meanwhile
    await pass(8_000);
    expect(c.status().fresh).toBe(false);
    await pass(10_000);
    expect([r.got, c.status().health]).toEqual([[1], "live"]);
  });

  test("had its clock set back: nothing is fresh before the next word", async () => {
    const c = client();
    c.subscribe("a", record());
    await pass(100);
    const seen: boolean[] = [];
    c.onStatus((s) => seen.push(s.fresh));
    vi.setSystemTime(Date.now() - 3_600_000);
    await pass(10_000);
    expect(seen).toEqual([false, true]);
    expect(c.status()).toMatchObject({ health: "live", fresh: true });
  });
});

test("a listener that throws is told of, and harms nobody", async () => {
  const errors: unknown[] = [];
  const c = client({ onError: (e) => errors.push(e) });
  const r = record();
  c.subscribe("a", { message: () => { throw new Error("listener"); } });
  c.subscribe("a", r);
  c.onStatus(() => { throw new Error("status"); });
  await pass(100);
  server.publish("a", 1);
  await pass(100);
  expect(r.got).toEqual([1]);
  expect(errors.map(String)).toContain("Error: listener");
  expect(errors.map(String)).toContain("Error: status");
});

test("a status is a new object only if it changed", async () => {
  const c = client();
  c.subscribe("a", record());
  await pass(100);
  const status = c.status();
  const f = vi.fn();
  c.onStatus(f);
  for (let i = 0; i < 10; i++) {
    server.publish("a", i);
    await pass(100);
  }
  expect(c.status()).toBe(status);
  expect(f).not.toHaveBeenCalled();
});

test("who is there can be asked", async () => {
  expect(await Promise.all([client().presence("a"), pass(100)]).then(([m]) => m)).toEqual([{ user: "u1", sessions: 2, since: 1 }]);
  expect(await Promise.all([client().info(), pass(100)]).then(([i]) => i)).toMatchObject({ sppgId: "sppg_7", userId: "u1", role: "SPPG_KEPALA" });
});
