import "fake-indexeddb/auto";

import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { createOutbox, MAX_UNSENT, waiting, type Entry, type Outbox, type OutboxOptions, type OutboxState } from "../src/outbox.ts";
import { MemoryStore } from "../src/outbox-store.ts";
import { FakeBroadcast, FakeLocks } from "./browser.ts";
import { below, chance, pick } from "./random.ts";

/** A server that takes entries, as one with idempotency keys does. */
class Kitchen {
  readonly taken: { key: string; body: unknown }[] = [];
  readonly seen = new Map<string, string>();
  requests = 0;
  /** What becomes of the next request: an answer, one that gets lost after it was taken, or no line. */
  next: () => number | "lost" | "down" = () => 200;
  retryAfter: string | undefined;

  readonly fetch = async (address: string | URL | Request, init?: RequestInit): Promise<Response> => {
    this.requests++;
    await new Promise((resolve) => setTimeout(resolve, 10));
    if (init?.signal?.aborted) throw new Error("aborted");
    const what = this.next();
    if (what === "down") throw new TypeError("network");
    const key = new Headers(init?.headers).get("idempotency-key") ?? "";
    if (what === "lost" || what === 200) {
      const body = String(init?.body);
      if (!this.seen.has(key)) this.taken.push({ key, body: JSON.parse(body) as unknown });
      else if (this.seen.get(key) !== body) return json(422, { error: { code: "KEY_REUSED", message: "other data" } });
      this.seen.set(key, body);
    }
    if (what === "lost") throw new TypeError("network");
    if (what === 200) return json(200, { ok: String(address) });
    return json(what, { error: { code: `C${what}`, message: "no" }, stored: 7 }, this.retryAfter === undefined ? {} : { "retry-after": this.retryAfter });
  };
}

function json(status: number, body: object, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers });
}

let kitchen: Kitchen;
let boxes: Outbox[];

beforeEach(() => {
  vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ["setTimeout", "clearTimeout", "Date"] }); // fake-indexeddb needs setImmediate
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  kitchen = new Kitchen();
  boxes = [];
  FakeBroadcast.all = [];
});

afterEach(async () => {
  for (const b of boxes) b.close();
  await pass(30_000);
  expect(vi.getTimerCount(), "timers that are left behind").toBe(0);
  vi.unstubAllGlobals();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Lets time go on, and IndexedDB do its work in between. */
async function pass(ms: number): Promise<void> {
  for (let t = 0; t < ms; t += 50) {
    for (let i = 0; i < 8; i++) await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(Math.min(50, ms - t));
  }
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

function box(options: OutboxOptions = {}): Outbox {
  const b = createOutbox({ url: "http://kitchen.test", fetch: kitchen.fetch, ...options });
  boxes.push(b);
  return b;
}

const enter = (b: Outbox, body: unknown, group?: string, bulky?: boolean) => b.add({ method: "POST", path: "/api/readings", body, group, bulky });
const bodies = () => kitchen.taken.map((t) => t.body);

test("what is added is sent, in order, once, and is gone", async () => {
  const sent: unknown[] = [];
  const b = box({ onSent: (e, answer) => sent.push([e.body, answer]) });
  const states: string[] = [];
  b.onState((s) => states.push(`${s.state} ${s.unsent.length}`));
  await Promise.all([1, 2, 3].map((i) => enter(b, i)));
  await pass(500);
  expect(bodies()).toEqual([1, 2, 3]);
  expect(sent[0]).toEqual([1, { ok: "http://kitchen.test/api/readings" }]);
  expect(b.state()).toEqual({ unsent: [], state: "idle", durable: true });
  expect(states.at(-1)).toBe("idle 0");
});

test("without a line it is kept, shown, and sent when there is one again", async () => {
  kitchen.next = () => "down";
  const b = box();
  for (let i = 0; i < 30; i++) await enter(b, i);
  await pass(60_000);
  expect(b.state()).toMatchObject({ state: "offline", durable: true });
  expect(b.state().unsent.map((e) => e.body)).toEqual(Array.from({ length: 30 }, (_, i) => i));
  expect(kitchen.requests).toBeLessThan(40); // it does not hammer
  kitchen.next = () => 200;
  await pass(25_000);
  expect(bodies()).toEqual(Array.from({ length: 30 }, (_, i) => i));
  expect(b.state()).toMatchObject({ state: "idle", unsent: [] });
});

test("it survives the page", async () => {
  kitchen.next = () => "down";
  const first = box();
  await enter(first, "entered before the reload");
  await pass(100);
  first.close();
  const second = box();
  second.flush();
  await pass(100);
  expect(second.state().unsent.map((e) => e.body)).toEqual(["entered before the reload"]);
  kitchen.next = () => 200;
  await enter(second, "after it");
  await pass(5_000);
  expect(bodies()).toEqual(["entered before the reload", "after it"]);
});

test("an answer that gets lost makes no second entry", async () => {
  let n = 0;
  kitchen.next = () => (n++ < 3 ? "lost" : 200);
  const b = box();
  await enter(b, 1);
  await enter(b, 2);
  await pass(20_000);
  expect(bodies()).toEqual([1, 2]);
  expect(kitchen.requests).toBe(5);
});

test("a refusal stops its own group, and shows what the server has said", async () => {
  const b = box();
  kitchen.next = () => 409;
  await enter(b, "conflict", "p1");
  await pass(100);
  kitchen.next = () => 200;
  await enter(b, "behind it", "p1");
  await enter(b, "of another batch", "p2");
  await pass(500);
  expect(bodies()).toEqual(["of another batch"]);
  const [refused] = b.state().unsent;
  expect(refused?.refusal).toEqual({ status: 409, code: "C409", message: "no", answer: { error: { code: "C409", message: "no" }, stored: 7 } });
  await b.retry(refused!.seq, { body: "decided" });
  await pass(500);
  expect(bodies()).toEqual(["of another batch", "decided", "behind it"]);
  expect(b.state().unsent).toEqual([]);
});

test("what is given up lets the others go on", async () => {
  const b = box();
  kitchen.next = () => 422;
  const entry = await enter(b, "bad");
  await pass(100);
  kitchen.next = () => 200;
  await enter(b, "good");
  await pass(100);
  expect(bodies()).toEqual([]);
  await b.remove(entry.seq);
  await pass(500);
  expect(bodies()).toEqual(["good"]);
});

test("a session that is over stops it until there is another", async () => {
  kitchen.next = () => 401;
  const b = box();
  await enter(b, 1);
  await pass(60_000);
  expect([b.state().state, b.state().unsent.length, kitchen.requests]).toEqual(["signed-out", 1, 1]);
  kitchen.next = () => 200;
  b.flush();
  await pass(500);
  expect(bodies()).toEqual([1]);
});

test("Retry-After is waited for", async () => {
  kitchen.next = () => 429;
  kitchen.retryAfter = "30";
  const b = box();
  await enter(b, 1);
  await pass(29_000);
  expect(kitchen.requests).toBe(1);
  kitchen.next = () => 200;
  await pass(3_000);
  expect(bodies()).toEqual([1]);
});

test("a request that hangs is given up and repeated", async () => {
  const b = box({
    fetch: (url, init) => (kitchen.requests++ === 0 ? new Promise((_, reject) => init?.signal?.addEventListener("abort", () => reject(new Error("aborted")))) : kitchen.fetch(url, init)),
  });
  await enter(b, 1);
  await pass(22_000);
  expect(bodies()).toEqual([1]);
});

test("a large request has the time that it takes on a slow line", async () => {
  const given: number[] = [];
  const b = box({
    fetch: (_, init) => {
      const begin = Date.now();
      return new Promise((__, reject) => init?.signal?.addEventListener("abort", () => {
        given.push(Date.now() - begin);
        reject(new Error("aborted"));
      }));
    },
  });
  await enter(b, "x".repeat(100_000));
  await pass(60_000);
  expect(given[0]).toBeGreaterThan(44_000); // 20 s, and a second for every 4 kB
  expect(given[0]).toBeLessThan(46_000);
});

test("on an http page of a kitchen's own network keys are random all the same", async () => {
  vi.stubGlobal("crypto", { getRandomValues: crypto.getRandomValues.bind(crypto) });
  kitchen.next = () => "down";
  const b = box();
  const keys = new Set([(await enter(b, 1)).key, (await enter(b, 2)).key]);
  expect([...keys].every((k) => /^[0-9a-f]{32}$/.test(k)) && keys.size).toBe(2);
});

test("a path that leads elsewhere is refused", async () => {
  await expect(box().add({ method: "POST", path: "https://elsewhere.test/" })).rejects.toThrow('begins with "/"');
});

test("what is too much is refused, and said", async () => {
  const store = new MemoryStore();
  for (let i = 0; i < MAX_UNSENT; i++) await store.add({ method: "POST", path: "/", key: String(i), group: "", enteredAt: 0, body: i });
  kitchen.next = () => "down";
  const b = box({ store: async () => store });
  b.flush();
  await pass(100);
  await expect(enter(b, "one too many")).rejects.toThrow("10000 entries wait");
});

test("without IndexedDB it says that nothing survives", async () => {
  vi.stubGlobal("indexedDB", undefined);
  kitchen.next = () => "down";
  const b = box();
  await enter(b, 1);
  await pass(100);
  expect(b.state()).toMatchObject({ durable: false, unsent: [{ body: 1 }] });
});

test("a store that fails loses nothing that it has kept", async () => {
  const store = new MemoryStore();
  const all = store.all.bind(store);
  let broken = false;
  store.all = async () => {
    if (broken) throw new Error("the disk is full");
    return all();
  };
  const b = box({ store: async () => store });
  kitchen.next = () => "down";
  await enter(b, 1);
  broken = true;
  await pass(5_000);
  broken = false;
  kitchen.next = () => 200;
  await pass(30_000);
  expect(bodies()).toEqual([1]);
});

test.each(Array.from({ length: 10 }, (_, i) => i))("two tabs, bad lines and reloads: each entry once, in the order of its group: seed %i", async (seed) => {
  const random = chance(seed);
  vi.spyOn(Math, "random").mockImplementation(chance(seed + 1));
  vi.stubGlobal("document", Object.assign(new EventTarget(), { visibilityState: "visible" }));
  vi.stubGlobal("window", new EventTarget());
  vi.stubGlobal("navigator", { locks: new FakeLocks() });
  vi.stubGlobal("BroadcastChannel", FakeBroadcast);
  const tabs = [box(), box()];
  const entered: Record<string, number[]> = { g1: [], g2: [], photos: [] };
  for (let i = 0; i < 40; i++) {
    const at = below(random, 2);
    kitchen.next = () => pick(random, [200, 200, 200, "lost", "down", 503] as const);
    if (random() < 0.15) {
      tabs[at]!.close();
      tabs[at] = box();
    }
    const group = pick(random, ["g1", "g2", "photos"]);
    entered[group]!.push(i);
    await enter(tabs[at]!, i, group, group === "photos");
    if (random() < 0.4) await pass(below(random, 400));
  }
  kitchen.next = () => 200;
  await pass(30_000);
  for (const group of Object.keys(entered)) expect(bodies().filter((b) => entered[group]!.includes(b as number)), group).toEqual(entered[group]);
  expect(bodies()).toHaveLength(40);
  for (const t of tabs) expect(t.state().unsent).toEqual([]);
});

test("what is bulky and never gets through holds up nothing that is entered before or after it", async () => {
  // A line on which whatever is large times out, until it gets better.
  let slow = true;
  const fetch: typeof globalThis.fetch = async (address, init) => {
    const large = String(init?.body).includes("photo");
    if (slow && large) await new Promise((_, fail) => init?.signal?.addEventListener("abort", () => fail(new Error("timed out"))));
    return kitchen.fetch(address, init);
  };
  const b = box({ fetch });
  await enter(b, "photo 1", "p1 photos", true);
  await pass(1_000); // it is on its way
  await enter(b, "photo 2", "p1 photos", true);
  for (let i = 1; i <= 5; i++) {
    await enter(b, i, "p1");
    await pass(1_000);
    expect(bodies(), "at once, and not when the photo has given up").toEqual([1, 2, 3, 4, 5].slice(0, i));
  }
  await pass(60_000);
  expect(b.state()).toMatchObject({ unsent: [{ body: "photo 1", bulky: true }, { body: "photo 2" }] });
  slow = false;
  await pass(60_000);
  expect(bodies()).toEqual([1, 2, 3, 4, 5, "photo 1", "photo 2"]);
  expect(b.state()).toMatchObject({ unsent: [], state: "idle" });
});

test("what is given up leaves no word of a line that is down", async () => {
  kitchen.next = () => "down";
  const b = box();
  const { seq } = await enter(b, "photo", "p1 photos", true);
  await pass(2_000);
  expect(b.state().state).toBe("offline");
  await b.remove(seq);
  await pass(2_000);
  expect(b.state()).toEqual({ unsent: [], state: "idle", durable: true });
});

test("of several, the oldest that waits for nobody is next", () => {
  const e = (seq: number, group: string, refused = false): Entry =>
    ({ seq, group, method: "POST", path: "/", body: 0, key: "", enteredAt: 0, refusal: refused ? { status: 409, code: "", message: "", answer: 0 } : undefined });
  expect(waiting([])).toBeUndefined();
  expect(waiting([e(1, "a", true), e(2, "a"), e(3, "b"), e(4, "b")])?.seq).toBe(3);
  expect(waiting([e(1, "a", true), e(2, "a")])).toBeUndefined();
  const photo = { ...e(1, "p"), bulky: true };
  expect([waiting([photo, e(2, "a")])?.seq, waiting([photo, e(2, "a")], true)?.seq, waiting([photo])]).toEqual([2, 1, undefined]);
  expect(waiting([e(1, "p", true), { ...photo, seq: 2 }], true), "a group is one, in both lanes").toBeUndefined();
});

test("a state is a new object only if it changed", async () => {
  const b = box();
  await pass(100);
  const before: OutboxState = b.state();
  b.flush();
  await pass(100);
  expect(b.state()).toBe(before);
});
