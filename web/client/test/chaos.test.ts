import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { createClient, type Client, type Subscription } from "../src/index.ts";
import { below, chance, pick, type Chance } from "./random.ts";
import { FakeServer, URL_OF_SERVER } from "./server.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Checks what one listener gets as it comes: nothing twice, nothing out of order, no hole that was not told. */
class Judge {
  at: { epoch: string; offset: number } | undefined;
  messages = 0;
  gaps = 0;
  readonly faults: string[] = [];
  subscription: Subscription | undefined;

  constructor(readonly channel: string, readonly snapshot: boolean) {}

  follow(c: Client, random: Chance): void {
    const since = this.at;
    this.subscription = c.subscribe<number>(
      this.channel,
      {
        message: ({ position: p }) => {
          this.messages++;
          if (this.at && (p.epoch !== this.at.epoch || p.offset !== this.at.offset + 1)) this.faults.push(`${JSON.stringify(p)} after ${JSON.stringify(this.at)}`);
          this.at = p;
        },
        gap: async (g) => {
          this.gaps++;
          if (this.snapshot && this.channel === "a" && g.snapshot === undefined) this.faults.push("a gap without its snapshot");
          this.at = g.position;
          if (random() < 0.3) throw new Error("the refetch fails");
          await new Promise((resolve) => setTimeout(resolve, below(random, 500)));
        },
      },
      { since, snapshot: this.snapshot },
    );
  }
}

function misbehave(server: FakeServer, random: Chance): void {
  const channel = pick(random, ["a", "b"]);
  switch (below(random, 14)) {
    case 0:
      return server.cut(pick(random, [1006, 1001, 4000, 4001]));
    case 1:
      return server.vanish();
    case 2:
      return server.turn(channel);
    case 3:
      return server.trim(channel, below(random, 5));
    case 4:
      server.http = pick(random, ["works", "down", "hangs"]);
      return;
    case 5:
      server.upgrades = pick(random, ["work", "work", "refused", "hang"]);
      return;
    case 6: { // a message is lost on a living line
      const lost = server.connections.filter((c) => c.follows.delete(channel));
      server.publish(channel, 0);
      for (const c of lost) c.follows.add(channel);
      return;
    }
    case 7:
      return server.say({ goaway: { reconnectInMs: below(random, 2000), reason: "drain" } });
    case 8:
      server.status = pick(random, [200, 200, 503]);
      return;
    case 9:
      return server.heartbeat();
    default:
      for (let i = below(random, 4); i >= 0; i--) server.publish(channel, i, pick(random, ["k1", "k2", undefined]));
  }
}

test.each(Array.from({ length: 60 }, (_, seed) => seed))("everything, once, in order, or a gap: seed %i", async (seed) => {
  const random = chance(seed);
  vi.spyOn(Math, "random").mockImplementation(chance(~seed));
  const server = new FakeServer();
  const c = createClient({ url: URL_OF_SERVER, fetch: server.fetch, WebSocket: server.socket, onError: () => undefined });
  const judges = [new Judge("a", false), new Judge("a", true), new Judge("b", false), new Judge("b", true)];
  for (let i = 0; i < 150; i++) {
    const judge = pick(random, judges);
    if (judge.subscription === undefined) judge.follow(c, random);
    else if (random() < 0.05) {
      judge.at = judge.subscription.position() ?? judge.at;
      judge.subscription.unsubscribe();
      judge.subscription = undefined;
    } else misbehave(server, random);
    await vi.advanceTimersByTimeAsync(below(random, 3000));
  }
  server.http = "works";
  server.upgrades = "work";
  server.status = 200;
  for (const j of judges) if (j.subscription === undefined) j.follow(c, random);
  for (let i = 0; i < 20; i++) {
    server.heartbeat();
    await vi.advanceTimersByTimeAsync(15_000);
  }
  for (const channel of ["a", "b"]) server.publish(channel, "last", "k1");
  await vi.advanceTimersByTimeAsync(5_000);
  for (const j of judges) {
    expect(j.faults).toEqual([]);
    expect(j.subscription?.position(), `${j.channel} ${j.snapshot}`).toEqual(server.head(j.channel));
    expect(j.messages).toBeGreaterThan(0);
  }
  expect(c.status()).toMatchObject({ health: "live", fresh: true });
  c.close();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(vi.getTimerCount()).toBe(0);
});
