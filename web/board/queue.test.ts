import assert from "node:assert/strict";
import test from "node:test";

import { cancel, check, dispatch, labelText, outgoing, portions, reading, readKept, resolve, sample, step, waste, type Draft, type Kept } from "./entries.ts";
import { Queue, UNDO_MS, type QueueOptions, type QueueState } from "./queue.ts";
import { readBatch } from "./batch.ts";
import type { Store, Stored } from "../client/src/outbox-store.ts";
import { createOutbox } from "../client/src/outbox.ts";

const cooking = readBatch({ id: "p1", status: "COOKING", actualPortions: 100, version: 5 });

/** A request as the server got it. */
interface Sent {
  readonly path: string;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

interface Stage {
  readonly sent: Sent[];
  readonly queue: Queue;
  readonly state: () => QueueState;
  readonly refused: Kept[];
  readonly kept: Map<string, string>;
}

function memory(rows: Stored[]): Store {
  let next = rows.reduce((n, r) => Math.max(n, r.seq), 0);
  return {
    durable: true,
    all: async () => [...rows].sort((a, b) => a.seq - b.seq),
    add: async (entry: unknown) => { rows.push({ seq: ++next, entry }); return next; },
    put: async (seq: number, entry: unknown) => { const at = rows.findIndex((r) => r.seq === seq); if (at >= 0) rows[at] = { seq, entry }; },
    remove: async (seq: number) => { const at = rows.findIndex((r) => r.seq === seq); if (at >= 0) rows.splice(at, 1); },
    close: () => undefined,
  } as Store;
}

function stage(answer: (s: Sent, n: number) => { status: number; body?: unknown }, rest: Partial<QueueOptions> = {}, kept = new Map<string, string>()): Stage {
  const sent: Sent[] = [];
  const refused: Kept[] = [];
  let state: QueueState | undefined;
  const rows: Stored[] = [];
  const queue = new Queue({
    name: "s1 u1",
    version: () => 5,
    read: async () => undefined,
    onSent: () => undefined,
    onRefused: (k) => refused.push(k),
    onState: (s) => { state = s; },
    storage: { getItem: (k) => kept.get(k) ?? null, setItem: (k, v) => void kept.set(k, v), removeItem: (k) => void kept.delete(k) },
    outbox: (o) => createOutbox({ ...o, store: async () => memory(rows) }),
    fetch: (async (url: string, init: RequestInit) => {
      const s = { path: url, body: JSON.parse(String(init.body)) as Record<string, unknown>, headers: new Headers(init.headers) };
      sent.push(s);
      const { status, body } = answer(s, sent.length);
      return new Response(JSON.stringify(body ?? {}), { status });
    }) as typeof fetch,
    ...rest,
  });
  return { sent, queue, refused, kept, state: () => { assert.ok(state); return state; } };
}

async function settled(): Promise<void> {
  for (let i = 0; i < 60; i++) await new Promise((done) => setImmediate(done));
}

const OK = () => ({ status: 200 });

test("entries are sent in order, with their time and the device's clock, and nothing of ours", async () => {
  const s = stage(OK);
  await s.queue.enter(reading(cooking, "CORE", 76.5, "Nasi"));
  await s.queue.enter(portions(cooking, 120));
  await s.queue.enter(check(cooking, { type: "TASTE", parameter: "x", passed: false, actualValue: "2", rating: 2, actionTaken: "dibumbui lagi" }));
  await settled();
  assert.deepEqual(s.sent.map((r) => r.path), ["/api/productions/p1/readings", "/api/productions/p1/work", "/api/productions/p1/checks"]);
  assert.deepEqual(Object.keys(s.sent[0]?.body ?? {}).sort(), ["celsius", "dish", "kind", "takenAt"]);
  assert.equal(s.sent[1]?.body["version"], 6); // the reading before it makes it grow
  for (const r of s.sent) {
    assert.match(String(r.body["takenAt"]), /^\d{4}-.*Z$/);
    assert.match(r.headers.get("device-time") ?? "", /^\d{4}-.*Z$/);
    assert.ok(r.headers.get("idempotency-key"));
    assert.equal(r.headers.get("person-pin"), null);
  }
  assert.equal(s.state().count, 0);
  s.queue.close();
});

test("a tap can be taken back for ten seconds, and is sent after them", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const s = stage(OK);
  await s.queue.enter(step(cooking, "QUALITY_CHECK"));
  assert.equal(s.state().pending?.draft.path, "/api/productions/p1/transition");
  t.mock.timers.tick(UNDO_MS - 1);
  s.queue.undo();
  t.mock.timers.tick(UNDO_MS);
  await settled();
  assert.deepEqual([s.sent.length, s.state().count, s.kept.size], [0, 0, 0]);

  await s.queue.enter(step(cooking, "QUALITY_CHECK"));
  assert.equal(s.kept.size, 1); // a page that is closed now loses nothing
  t.mock.timers.tick(UNDO_MS);
  await settled();
  assert.deepEqual(s.sent.map((r) => [r.body["to"], r.body["version"]]), [["QUALITY_CHECK", 5]]);
  assert.equal(s.kept.size, 0);
  s.queue.close();
});

test("what is entered after a tap does not overtake it", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const s = stage(OK);
  await s.queue.enter(step(cooking, "QUALITY_CHECK"));
  await s.queue.enter(reading(cooking, "CORE", 80));
  await settled();
  assert.deepEqual(s.sent.map((r) => r.path.split("/").pop()), ["transition", "readings"]);
  s.queue.close();
});

test("a tap of a page that was closed is sent by the next one, with the same key", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const first = stage(OK);
  await first.queue.enter(step(cooking, "QUALITY_CHECK"));
  const key = (JSON.parse([...first.kept.values()][0] ?? "{}") as { key: string }).key;
  const second = stage(OK, {}, new Map(first.kept));
  await settled();
  assert.deepEqual(second.sent.map((r) => r.headers.get("idempotency-key")), [key]);
  assert.equal(second.kept.size, 0);
  first.queue.undo();
  first.queue.close();
  second.queue.close();
});

test("without a line entries wait, with versions that follow each other", async () => {
  let down = true;
  const s = stage(() => (down ? { status: 503 } : { status: 200 }));
  await s.queue.enter(portions(cooking, 120));
  await s.queue.enter(reading(cooking, "CORE", 80));
  await s.queue.enter(portions(cooking, 130));
  await settled();
  assert.equal(s.state().count, 3);
  down = false;
  s.sent.length = 0;
  s.queue.flush();
  await settled();
  assert.deepEqual(s.sent.map((r) => r.body["version"]), [5, undefined, 7]);
  assert.equal(s.state().count, 0);
  s.queue.close();
});

const CONFLICT = { status: 409, body: { code: "VERSION_CONFLICT", currentVersion: 9 } };

test("another version is no conflict where nothing changed that the entry overwrites", async () => {
  const s = stage((_, n) => (n === 1 ? CONFLICT : { status: 200 }), { read: async () => ({ id: "p1", version: 9, actualPortions: 100 }) });
  await s.queue.enter(portions(cooking, 120));
  await settled();
  assert.deepEqual(s.sent.map((r) => [r.body["actualPortions"], r.body["version"]]), [[120, 5], [120, 9]]);
  assert.notEqual(s.sent[0]?.headers.get("idempotency-key"), s.sent[1]?.headers.get("idempotency-key"));
  assert.equal(s.state().count, 0);
  s.queue.close();
});

test("what somebody else has changed waits for a person, who may send it all the same", async () => {
  const s = stage((_, n) => (n === 1 ? CONFLICT : { status: 200 }), { read: async () => ({ id: "p1", version: 9, actualPortions: 110 }) });
  await s.queue.enter(portions(cooking, 120));
  await settled();
  const [entry] = s.state().unsent;
  assert.equal(entry?.refusal?.code, "VERSION_CONFLICT");
  assert.ok(entry);
  await s.queue.again(entry);
  await settled();
  assert.deepEqual(s.sent.map((r) => r.body["version"]), [5, 9]);
  assert.equal(s.state().count, 0);
  s.queue.close();
});

test("two who tap the same step have no conflict", async () => {
  const s = stage(() => CONFLICT, { read: async () => ({ id: "p1", version: 9, status: "QUALITY_CHECK" }) });
  await s.queue.enter(step(cooking, "QUALITY_CHECK"), undefined, false);
  await settled();
  assert.deepEqual([s.sent.length, s.state().count], [1, 0]);
  s.queue.close();
});

test("whose tap meets the same step of somebody else has nothing to decide; another step that is not there waits", async () => {
  const gone = { status: 409, body: { code: "NO_SUCH_STEP" } };
  for (const [status, waits] of [["QUALITY_CHECK", 0], ["CANCELLED", 1], ["COOKING", 1]] as const) {
    const s = stage(() => gone, { read: async () => ({ id: "p1", version: 9, status }) });
    await s.queue.enter(step(cooking, "QUALITY_CHECK"), undefined, false);
    await settled();
    assert.deepEqual([status, s.sent.length, s.state().count], [status, 1, waits]);
    s.queue.close();
  }
});

test("a refused step is told and gone, unless something waits behind it", async () => {
  const unmet = { status: 409, body: { code: "GUARDS_UNMET", unmet: ["ACTUAL_PORTIONS"] } };
  const s = stage(() => unmet);
  await s.queue.enter(step(cooking, "QUALITY_CHECK"), undefined, false);
  await settled();
  assert.deepEqual([s.refused.length, s.state().count], [1, 0]);
  s.queue.close();

  let down = true;
  const o = stage((r) => (down ? { status: 503 } : r.path.endsWith("transition") ? unmet : { status: 200 }));
  await o.queue.enter(step(cooking, "QUALITY_CHECK"), undefined, false);
  await o.queue.enter(portions(cooking, 120));
  await o.queue.enter(check(cooking, { type: "SAFETY", parameter: "x", passed: true, actualValue: "negatif" }));
  await settled();
  down = false;
  o.queue.flush();
  await settled();
  assert.deepEqual(o.refused, []);
  assert.deepEqual(o.state().unsent.map((e) => [e.path.split("/").pop(), e.refusal?.code]), [["transition", "GUARDS_UNMET"], ["work", undefined]]);
  o.queue.close();
});

test("a PIN still rides along when another version is sent", async () => {
  const s = stage((_, n) => (n === 1 ? CONFLICT : { status: 200 }), { read: async () => ({ id: "p1", version: 9, status: "COOKING" }) });
  await s.queue.enter(step(cooking, "QUALITY_CHECK"), { id: "u2", pin: "2468" }, false);
  await settled();
  assert.deepEqual(s.sent.map((r) => [r.body["version"], r.headers.get("person-pin")]), [[5, "2468"], [9, "2468"]]);
  s.queue.close();
});

test("a PIN rides along and is kept nowhere; after a wrong one another is asked for", async () => {
  const rows: string[] = [];
  const s = stage((r) => {
    rows.push(JSON.stringify(r.body));
    return r.headers.get("person-pin") === "2468" ? { status: 201 } : { status: 403, body: { code: "PIN_WRONG" } };
  });
  await s.queue.enter(sample(cooking), { id: "u2", pin: "1111" }, false);
  await settled();
  const [entry] = s.state().unsent;
  assert.equal(entry?.refusal?.code, "PIN_WRONG");
  assert.ok(!JSON.stringify(entry).includes("1111"));
  assert.ok(entry);
  await s.queue.again(entry, { id: "u2", pin: "2468" });
  await settled();
  assert.equal(s.state().count, 0);
  assert.ok(rows.every((r) => !r.includes("1111") && !r.includes("2468")));
  s.queue.close();
});

test("what an outbox keeps can be read again, and labels are in words", () => {
  const drafts: Draft[] = [step(cooking, "QUALITY_CHECK"), cancel(cooking, "listrik padam lama"), dispatch(cooking, 90), resolve({ id: "a", code: "X", productionId: "p1", severity: "HIGH" }, "dibuang")];
  for (const d of drafts) {
    const kept = readKept(JSON.parse(JSON.stringify(outgoing(d, "k", 3, 0).body)));
    assert.deepEqual(kept?.note.label, d.label.values === undefined ? { word: d.label.word } : d.label);
  }
  assert.equal(readKept({ send: {} }), undefined);
  assert.equal(labelText("id", check(cooking, { type: "TASTE", parameter: "x", passed: false, actualValue: "2" }).label), "Periksa Rasa: Gagal");
  assert.equal(labelText("en", portions(cooking, 120).label), "Portions: 120");
  assert.equal(labelText("id", portions(cooking, 3200).label), "Porsi: 3.200");
  assert.equal(labelText("id", reading(cooking, "CORE", 60.5).label), "Suhu inti: 60,5 °C");
  assert.equal(labelText("en", waste(cooking, 2.5).label), "Waste: 2.5 kg");
  assert.equal(labelText("id", { word: "reading_CORE", values: { value: "60.5 °C" } }), "Suhu inti: 60.5 °C", "as an older page has kept it");
});
