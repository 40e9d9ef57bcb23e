import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { createClient, type Client, type ClientOptions, type Gap, type Message, type Subscription } from "../src/index.ts";
import { POKE_MS, POKES, tabs } from "../src/tabs.ts";
import { FakeBroadcast, FakeLocks } from "./browser.ts";
import { below, chance, pick } from "./random.ts";
import { FakeServer, URL_OF_SERVER } from "./server.ts";

let server: FakeServer;
let page: EventTarget & { visibilityState: string };
let open: Tab[];

beforeEach(() => {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
  vi.spyOn(Math, "random").mockImplementation(chance(1));
  server = new FakeServer();
  open = [];
  FakeBroadcast.all = [];
  page = Object.assign(new EventTarget(), { visibilityState: "visible" });
  vi.stubGlobal("document", page);
  vi.stubGlobal("window", page);
  vi.stubGlobal("navigator", { locks: new FakeLocks() });
  vi.stubGlobal("BroadcastChannel", FakeBroadcast);
});

afterEach(async () => {
  for (const t of open) t.client.close();
  await pass(60_000);
  expect(vi.getTimerCount(), "timers that are left behind").toBe(0);
  vi.unstubAllGlobals();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** One tab, with what came on a channel. */
class Tab {
  readonly client: Client;
  readonly got: unknown[] = [];
  readonly gaps: Gap[] = [];
  readonly faults: string[] = [];
  port: FakeBroadcast | undefined;
  private at: { epoch: string; offset: number } | undefined;

  constructor(options: ClientOptions = {}) {
    this.client = createClient({ url: URL_OF_SERVER, fetch: server.fetch, WebSocket: server.socket, share: tabs(), onError: () => undefined, ...options });
    open.push(this);
  }
  follow(channel: string, snapshot = false): Subscription {
    const s = this.client.subscribe(
      channel,
      {
        message: (m: Message) => {
          this.got.push(m.data);
          if (this.at && (this.at.epoch !== m.position.epoch || m.position.offset !== this.at.offset + 1)) this.faults.push(`${JSON.stringify(m.position)} after ${JSON.stringify(this.at)}`);
          this.at = m.position;
        },
        gap: (g) => {
          this.gaps.push(g);
          this.at = g.position;
        },
      },
      { snapshot },
    );
    return s;
  }
  /** Starts, and notes which BroadcastChannel is its own. */
  async up(channel = "a", snapshot = false): Promise<Subscription> {
    const before = new Set(FakeBroadcast.all);
    const s = this.follow(channel, snapshot);
    await pass(0);
    this.port = FakeBroadcast.all.find((b) => !before.has(b));
    return s;
  }
  role(): string {
    return this.client.status().role;
  }
}

/** Opens n tabs that follow a. */
async function several(n: number): Promise<[Tab, Tab, ...Tab[]]> {
  const all: Tab[] = [];
  for (let i = 0; i < n; i++) {
    const t = new Tab();
    await t.up();
    await pass(100);
    all.push(t);
  }
  return all as [Tab, Tab, ...Tab[]];
}

test("one connection for all, and each tab gets each message", async () => {
  const all = await several(3);
  expect(all.map((t) => t.role())).toEqual(["leader", "follower", "follower"]);
  expect(server.connections).toHaveLength(1);
  server.publish("a", 1);
  await pass(100);
  expect(all.map((t) => t.got)).toEqual([[1], [1], [1]]);
  for (const t of all) expect(t.client.status()).toMatchObject({ health: "live", fresh: true, phase: "open" });
  await pass(120_000);
  for (const t of all) expect(t.client.status()).toMatchObject({ health: "live", fresh: true });
  expect(server.requests).toEqual(["WS /api/ws?channels=a"]);
});

test("a new tab knows the server's time at once, and hands it on when it leads", async () => {
  server.skewMs = 90_000;
  const ahead = (t: Tab) => Math.round((t.client.now() - Date.now()) / 1000); // the way of a word takes some ms
  const [leader, follower] = await several(2);
  expect([ahead(leader), ahead(follower)]).toEqual([90, 90]);
  leader.client.close();
  await pass(100);
  expect(follower.role()).toBe("leader");
  const third = new Tab();
  await third.up();
  await pass(100);
  expect([third.role(), ahead(third)]).toEqual(["follower", 90]);
});

test("a channel that only a follower wants is followed as long as it wants it", async () => {
  const [leader, follower] = await several(2);
  const b = follower.follow("b");
  await pass(100);
  server.publish("b", "for the follower");
  await pass(100);
  expect([leader.got, follower.got]).toEqual([[], ["for the follower"]]);
  expect([...server.connections[0]!.follows]).toEqual(["a", "b"]);
  b.unsubscribe();
  await pass(100);
  expect([...server.connections[0]!.follows]).toEqual(["a"]);
});

test("a new tab begins with the snapshot though the channel is followed already", async () => {
  server.publish("a", "p1", "p1");
  await several(1);
  const late = new Tab();
  await late.up("a", true);
  await pass(100);
  expect(late.gaps.map((g) => g.snapshot?.map((m) => m.data))).toEqual([["p1"]]);
  server.publish("a", "p2", "p2");
  await pass(100);
  expect(late.got).toEqual(["p2"]);
  expect(late.client.status()).toMatchObject({ health: "live", role: "follower" });
});

test("when the leader is closed another tab leads, and nobody misses anything", async () => {
  const [leader, second, third] = (await several(3)) as [Tab, Tab, Tab];
  server.publish("a", 1);
  await pass(100);
  leader.client.close();
  server.publish("a", 2);
  await pass(1000);
  server.publish("a", 3);
  await pass(100);
  expect([second.role(), third.role()]).toEqual(["leader", "follower"]);
  expect([second.got, third.got]).toEqual([[1, 2, 3], [1, 2, 3]]);
  expect(server.connections).toHaveLength(1);
  expect(server.requests.filter((q) => q.startsWith("WS")).at(-1)).toBe("WS /api/ws?channels=a@e1/1");
});

test("a leader that a phone has frozen is robbed, and follows when it is back", async () => {
  const [leader, second] = await several(2);
  const [peer] = server.connections;
  leader.port!.frozen = true;
  peer!.vanish();
  server.publish("a", 1);
  await pass(POKE_MS * (POKES + 1) + 1000);
  expect([second.role(), second.got]).toEqual(["leader", [1]]);
  leader.port!.frozen = false;
  await pass(5000);
  server.publish("a", 2);
  await pass(100);
  expect([leader.role(), leader.got, second.got]).toEqual(["follower", [1, 2], [1, 2]]);
  expect(server.connections).toHaveLength(1);
});

test("a frozen tab gives up the lead by itself, and joins again when it wakes up", async () => {
  const t = new Tab();
  await t.up();
  await pass(100);
  page.dispatchEvent(new Event("freeze"));
  await pass(100);
  expect(server.connections).toHaveLength(0);
  server.publish("a", 1);
  page.dispatchEvent(new Event("resume"));
  await pass(1000);
  expect([t.got, t.role(), t.client.status().health]).toEqual([[1], "leader", "live"]);
});

test("a follower sees that the leader's line is dead, and is never fresher than it", async () => {
  const [, follower] = await several(2);
  server.vanish();
  server.upgrades = "hang";
  server.http = "hangs";
  await pass(30_000);
  expect(follower.client.status()).toMatchObject({ health: "dead", fresh: false });
  server.upgrades = "work";
  server.http = "works";
  await pass(40_000);
  expect(follower.client.status()).toMatchObject({ health: "live", fresh: true });
});

test("a follower may press the button", async () => {
  const [, follower] = await several(2);
  server.cut(4500);
  await pass(1000);
  expect(follower.client.status()).toMatchObject({ phase: "ended", end: { code: 4500 } });
  follower.client.retry();
  await pass(100);
  expect(follower.client.status().health).toBe("live");
});

test("the refusal of a channel reaches the tab that wanted it", async () => {
  const [, follower] = await several(2);
  const errors: string[] = [];
  follower.client.subscribe("nobody's", { error: (e) => errors.push(e.code) });
  await pass(1000);
  expect(errors).toEqual(["NO_SUCH_CHANNEL"]);
  expect(follower.client.status().health).toBe("live");
});

test("users who share a browser do not share a line", async () => {
  const one = new Tab({ share: tabs("u1") });
  const other = new Tab({ share: tabs("u2") });
  await one.up();
  await other.up();
  await pass(100);
  expect([one.role(), other.role(), server.connections.length]).toEqual(["leader", "leader", 2]);
});

test("where there are no Web Locks each tab has its own connection", async () => {
  vi.stubGlobal("navigator", {});
  const all = await several(2);
  expect(all.map((t) => t.role())).toEqual(["alone", "alone"]);
  expect(server.connections).toHaveLength(2);
});

test.each(Array.from({ length: 20 }, (_, i) => i))("whatever tabs do, each has everything, once, in order: seed %i", async (seed) => {
  const random = chance(seed + 100);
  vi.spyOn(Math, "random").mockImplementation(chance(seed));
  let live: Tab[] = await several(1);
  for (let i = 0; i < 80; i++) {
    const tab = pick(random, live);
    switch (below(random, 9)) {
      case 0: {
        const t = new Tab();
        await t.up("a", random() < 0.5);
        live.push(t);
        break;
      }
      case 1:
        if (live.length < 2) break;
        tab.client.close();
        live = live.filter((t) => t !== tab);
        break;
      case 2:
        if (tab.port) tab.port.frozen = !tab.port.frozen;
        break;
      case 3:
        server.cut();
        break;
      case 4:
        server.turn("a");
        break;
      case 5:
        server.heartbeat();
        break;
      default:
        server.publish("a", i, "k");
    }
    await pass(below(random, 4000));
  }
  for (const t of live) if (t.port) t.port.frozen = false;
  for (let i = 0; i < 10; i++) {
    server.heartbeat();
    await pass(10_000);
  }
  server.publish("a", "last", "k");
  await pass(1000);
  expect(server.connections).toHaveLength(1);
  expect(live.filter((t) => t.role() === "leader")).toHaveLength(1);
  for (const t of live) {
    expect(t.faults).toEqual([]);
    expect(t.got.at(-1)).toBe("last");
    expect(t.client.status()).toMatchObject({ health: "live", fresh: true });
  }
});
