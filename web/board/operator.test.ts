import assert from "node:assert/strict";
import test from "node:test";

import { KentonganError } from "../client/src/http.ts";
import { byTrouble, MOST_TROUBLED, Operator, readOverview, toneOfStanding, unseen, type OperatorState, type Standing } from "./operator.ts";

const T = Date.parse("2026-11-26T02:00:00Z");

const answer = {
  time: "2026-11-26T02:00:00Z",
  counts: { kitchens: 3, cooking: 2, alarming: 1, behind: 0 },
  kitchens: [
    { sppgId: "a", name: "Dapur A", timeZone: "Asia/Jayapura", open: 0, behind: 0, critical: 0, high: 0, medium: 0, low: 0, unanswered: 0, unansweredSince: null, lastChange: null, sessions: null, people: null },
    { sppgId: "b", name: "", open: 2, behind: 1, critical: 0, high: 1, medium: 0, low: 0, unanswered: 1, unansweredSince: "2026-11-26T01:50:00Z", lastChange: "2026-11-26T01:59:00Z", sessions: 0, people: 0 },
    { name: "nobody" },
  ],
};

test("the worst comes first, and what is not known is not 0", () => {
  const o = readOverview(answer);
  assert.equal(o?.time, T);
  assert.deepEqual(o.counts, { all: 3, alarming: 1, behind: 0, cooking: 2 });
  assert.deepEqual(o.kitchens.map((k) => k.id), ["b", "a"]);
  const [b, a] = o.kitchens;
  assert.deepEqual([b?.name, b?.zone, b?.unansweredSince, b?.sessions], ["b", "Asia/Jakarta", T - 600_000, 0]);
  assert.deepEqual([a?.zone, a?.lastChange, a?.sessions, a?.people, a?.unansweredSince], ["Asia/Jayapura", undefined, undefined, undefined, undefined]);
  assert.equal(o.more, false);
  assert.equal(readOverview({ ...answer, next: "x" })?.more, true);
  for (const none of [undefined, null, {}, { time: "x", kitchens: [] }, { time: answer.time }]) assert.equal(readOverview(none), undefined);
});

test("the order is one, whatever it began with", () => {
  const base = readOverview(answer)?.kitchens[1] as Standing;
  const all: Standing[] = [
    { ...base, id: "critical", critical: 1 }, { ...base, id: "unanswered", unanswered: 2 }, { ...base, id: "high", high: 1 }, { ...base, id: "behind", behind: 3 },
    { ...base, id: "unseen", open: 1, sessions: 0 }, { ...base, id: "medium", medium: 1 }, { ...base, id: "open", open: 1 }, { ...base, id: "b" }, { ...base, id: "c" },
  ];
  const want = all.map((s) => s.id);
  for (let i = 0; i < all.length; i++) {
    assert.deepEqual([...all.slice(i), ...all.slice(0, i)].sort(byTrouble).map((s) => s.id), want);
  }
});

test("tones", () => {
  const rest = readOverview(answer)?.kitchens[1] as Standing;
  assert.equal(toneOfStanding(rest), "plain");
  assert.equal(toneOfStanding({ ...rest, open: 1 }), "good"); // who is connected is not known: that is no alarm
  assert.equal(toneOfStanding({ ...rest, open: 1, sessions: 0 }), "watch");
  assert.equal(toneOfStanding({ ...rest, sessions: 0 }), "plain");
  assert.equal(toneOfStanding({ ...rest, behind: 1 }), "watch");
  assert.equal(toneOfStanding({ ...rest, medium: 1 }), "watch");
  assert.equal(toneOfStanding({ ...rest, high: 1 }), "bad");
  assert.equal(unseen({ ...rest, open: undefined, sessions: 0 }), false);
});

test("the worst of all kitchens are on top, wherever the server has them", async (t) => {
  // A server of 3,000 kitchens by id, of which one of the last alarms, another is behind, and one in three cooks.
  const row = (i: number) => ({
    sppgId: `k${String(i).padStart(4, "0")}`, name: "", open: i % 3 === 0 ? 1 : 0, behind: i === 2_998 ? 1 : 0, critical: i === 2_997 ? 1 : 0, high: 0, medium: 0, low: 0, unanswered: 0, sessions: 1,
  });
  const all = Array.from({ length: 3_000 }, (_, i) => row(i));
  const filters: Record<string, (k: ReturnType<typeof row>) => boolean> = {
    all: () => true, alarming: (k) => k.critical > 0, behind: (k) => k.behind > 0, cooking: (k) => k.open > 0, unwatched: () => false,
  };
  const asked: string[] = [];
  const serve = (path: string) => {
    asked.push(path);
    const q = new URL(path, "http://x").searchParams;
    const found = all.filter(filters[q.get("show") ?? ""] ?? (() => false)).filter((k) => k.sppgId > (q.get("cursor") ?? ""));
    const page = found.slice(0, Number(q.get("limit")));
    return Promise.resolve({ ...answer, kitchens: page, ...(found.length > page.length && { next: page[page.length - 1]?.sppgId }) });
  };
  let last: OperatorState | undefined;
  const o = new Operator({ read: serve, onState: (s) => (last = s), onRefused: () => assert.fail(), hidden: () => false });
  t.after(() => o.close());
  const settle = () => new Promise<void>((done) => setImmediate(done));
  const ids = (n: number) => last?.overview?.kitchens.slice(0, n).map((k) => k.id);
  o.wake();
  await settle();
  assert.deepEqual(ids(3), ["k2997", "k2998", "k0000"]);
  assert.deepEqual([last?.overview?.kitchens.length, last?.overview?.more, last?.overview?.capped], [100, true, false]);
  assert.deepEqual(asked, ["alarming&limit=500", "behind&limit=500", "all&limit=100"].map((q) => `/api/overview?show=${q}`));

  o.show("cooking");
  await settle();
  assert.deepEqual(ids(2), ["k2997", "k0000"], "the one that is behind does not cook");
  o.show("behind");
  await settle();
  assert.deepEqual([ids(2), last?.overview?.more], [["k2998"], false]);

  // More are in trouble than are read: it is said, and what was read is sorted all the same.
  for (const [i, k] of all.entries()) k.critical = i === 1_234 ? 2 : 1;
  asked.length = 0;
  o.show("alarming");
  await settle();
  assert.deepEqual([ids(1), last?.overview?.kitchens.length, last?.overview?.more, last?.overview?.capped], [["k1234"], 100, true, true]);
  assert.equal(asked.length * 500, MOST_TROUBLED, "and not one page more");
});

test("it asks again, gets old without answers, and comes back", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: T + 3_000 });
  const states: OperatorState[] = [];
  const refused: KentonganError[] = [];
  const asked: string[] = [];
  let reply: () => Promise<unknown> = () => Promise.resolve(answer);
  let hidden = false;
  const o = new Operator({
    read: (path) => {
      asked.push(path);
      return reply();
    },
    onState: (s) => states.push(s), onRefused: (e) => refused.push(e), hidden: () => hidden,
  });
  const settle = () => new Promise<void>((done) => setImmediate(done));
  const last = () => states[states.length - 1];
  o.wake();
  await settle();
  assert.deepEqual(last()?.fresh, { lamp: "connected", old: false, since: T });
  assert.equal(o.now(), T, "by the server's clock");

  reply = () => Promise.reject(new KentonganError(0, "UNREACHABLE", "", true));
  for (let i = 0; i < 2; i++) {
    t.mock.timers.tick(5_000);
    await settle();
    assert.equal(last()?.fresh.old, false, "not yet");
  }
  reply = () => new Promise(() => undefined); // hangs
  t.mock.timers.tick(5_000);
  await settle();
  assert.deepEqual(last()?.fresh, { lamp: "disconnected", old: true, since: T });
  assert.equal(last()?.overview?.kitchens.length, 2, "it is still shown");

  let late: (v: unknown) => void = () => undefined;
  reply = () => new Promise((done) => (late = done));
  o.show("behind");
  reply = () => Promise.resolve({ ...answer, kitchens: [] });
  o.show("cooking");
  await settle();
  late(answer); // to a question that nobody asks any more
  await settle();
  assert.deepEqual([last()?.show, last()?.overview?.kitchens.length, last()?.fresh.old], ["cooking", 0, false]);
  assert.equal(asked[asked.length - 1], "/api/overview?show=cooking&limit=100");

  for (const typed of ["Ban", "Bandung", "Bandung & K"]) o.search(typed);
  await settle();
  assert.equal(asked[asked.length - 1], "/api/overview?show=cooking&limit=100", "not while somebody types");
  t.mock.timers.tick(300);
  await settle();
  assert.equal(asked[asked.length - 1], "/api/overview?show=cooking&limit=100&q=Bandung%20%26%20K");
  const before300 = asked.length;
  o.search("");
  t.mock.timers.tick(300);
  await settle();
  assert.deepEqual([asked.length, asked[asked.length - 1]], [before300 + 3, "/api/overview?show=cooking&limit=100"]);

  assert.deepEqual([o.more(), o.more(), o.more(), o.more(), o.more()], [true, true, true, true, false]);
  await settle();
  assert.equal(asked[asked.length - 1], "/api/overview?show=cooking&limit=500");

  hidden = true;
  const before = asked.length;
  t.mock.timers.tick(60_000);
  await settle();
  assert.equal(asked.length, before, "nobody looks");
  hidden = false;
  reply = () => Promise.reject(new KentonganError(401, "UNAUTHENTICATED", "", false));
  o.wake();
  await settle();
  t.mock.timers.tick(60_000);
  assert.deepEqual([refused.length, asked.length], [1, before + 1], "the end is the end");
  o.close();
});
