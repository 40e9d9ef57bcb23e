import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { createClient, type Client } from "../src/index.ts";
import { readFrame } from "../src/frame.ts";
import { applyEvent, kitchenOf, MAX_ALERTS, MAX_PRODUCTIONS, NO_KITCHEN, readEvent, type Kitchen } from "../src/production.ts";
import { chance, mess } from "./random.ts";
import { FakeServer, URL_OF_SERVER } from "./server.ts";

const fold = (k: Kitchen, ...data: unknown[]) => data.map((d) => readEvent({ data: d, time: 1 })).reduce((k2, e) => (e ? applyEvent(k2, e) : k2), k);
const update = (productionId: string, data: object, timestamp = 10) => ({ type: "production_update", productionId, data, timestamp, updatedBy: "u1" });
const alert = (id: string, more: object, timestamp = 10) => ({ type: "production_alert", productionId: "p1", alert: { id, code: "EAT_BY", ...more }, timestamp });

test("the golden message is an update", () => {
  const frame = readFrame(readFileSync(join(import.meta.dirname, "..", "..", "..", "realtime", "protocol", "testdata", "frames", "v1-message.json"), "utf8"));
  expect(frame.kind === "message" && readEvent(frame.message)).toEqual({ kind: "updated", productionId: "p1", changes: { status: "COOKING" }, timestamp: 1767243600120 });
});

test("a batch is what was said of it, field by field", () => {
  const k = fold(
    NO_KITCHEN,
    { type: "production_created", productionId: "p1", data: { id: "p1", batchNumber: "B1", status: "PLANNED", plannedPortions: 100 }, timestamp: 1 },
    update("p1", { status: "COOKING", progress: 30 }, 5),
    update("p1", { actualPortions: 40 }, 7),
  );
  expect(k.productions.get("p1")).toEqual({ id: "p1", batchNumber: "B1", status: "COOKING", plannedPortions: 100, progress: 30, actualPortions: 40 });
  expect(k.lastUpdate).toBe(7);
  expect(fold(k, update("p1", { deleted: true })).productions.size).toBe(0);
});

test("the order of a batch is that of its versions", () => {
  const k = fold(NO_KITCHEN, update("p1", { status: "COOKING", version: 5 }), update("p1", { status: "PREPARING", version: 4 }));
  expect(k.productions.get("p1")).toMatchObject({ status: "COOKING", version: 5 });
});

test("checks are added; the same one again replaces itself", () => {
  const check = (passed: boolean, id: string) => update("p1", { qualityCheck: { id, passed } });
  const k = fold(NO_KITCHEN, check(false, "c1"), check(true, "c2"), check(true, "c1"));
  expect(k.productions.get("p1")?.["qualityChecks"]).toEqual([{ id: "c2", passed: true }, { id: "c1", passed: true }]);
});

test("alerts stand by gravity and age, and go when they are resolved", () => {
  let k = fold(NO_KITCHEN, alert("a", { severity: "MEDIUM", raisedAt: 1 }), alert("b", { severity: "CRITICAL", raisedAt: 3 }), alert("c", { severity: "CRITICAL", raisedAt: 2 }));
  expect(k.alerts.map((a) => a.id)).toEqual(["c", "b", "a"]);
  k = fold(k, alert("c", { status: "RESOLVED" }, 20), alert("a", { severity: "HIGH", status: "ACKNOWLEDGED" }, 20), alert("a", { severity: "LOW" }, 15));
  expect(k.alerts.map((a) => [a.id, a.severity])).toEqual([["b", "CRITICAL"], ["a", "HIGH"]]);
  expect(fold(k, { type: "production_alert", productionId: "p2", alert: { type: "x" }, timestamp: 1 }).alerts.map((a) => a.id)).toContain("p2 x");
});

test("older shapes of the app are understood", () => {
  expect(readEvent({ data: { eventType: "PRODUCTION_CREATED", timestamp: "2026-01-01T00:00:00Z", data: { id: "p1", status: "PLANNED" } }, time: 1 }))
    .toMatchObject({ kind: "created", productionId: "p1", timestamp: 1767225600000 });
  expect(readEvent({ data: { type: "broadcast", channel: "x", message: update("p1", { status: "COOKING" }) }, time: 1 })).toMatchObject({ kind: "updated", productionId: "p1" });
});

test("what is something else is nothing, and no JSON makes it throw", () => {
  for (const data of [null, 1, "x", [], {}, { type: "menu_update", data: {} }, { type: "production_update", data: 1, productionId: "p" }, { type: "production_alert" }]) {
    expect(readEvent({ data, time: 1 })).toBeUndefined();
  }
  const random = chance(3);
  for (let i = 0; i < 2000; i++) fold(NO_KITCHEN, { type: "production_update", productionId: "p", data: mess(random) }, mess(random));
});

test("rows and alerts have a bound", () => {
  const many = Array.from({ length: MAX_PRODUCTIONS + 10 }, (_, i) => update(`p${i}`, { progress: 1 }));
  const k = fold(NO_KITCHEN, ...many, ...Array.from({ length: MAX_ALERTS + 10 }, (_, i) => alert(`a${i}`, { raisedAt: i + 1 })));
  expect([k.productions.size, k.alerts.length, k.productions.has("p0"), k.productions.has(`p${MAX_PRODUCTIONS + 9}`)]).toEqual([MAX_PRODUCTIONS, MAX_ALERTS, false, true]);
});

const UPDATES = "production:updates:sppg_7";
const ALERTS = "production:alerts:sppg_7";
let server: FakeServer;
let client: Client;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
  server = new FakeServer([UPDATES]);
  server.channels = new Set([UPDATES, ALERTS]);
  client = createClient({ url: URL_OF_SERVER, fetch: server.fetch, WebSocket: server.socket });
});
afterEach(async () => {
  client.close();
  await pass(30_000);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test("a kitchen is put together from what was published before, and goes on live", async () => {
  server.publish(UPDATES, { type: "production_created", productionId: "p1", data: { id: "p1", batchNumber: "B1" }, timestamp: 1 }, "p1");
  server.publish(UPDATES, update("p1", { status: "COOKING" }), "p1");
  server.publish(ALERTS, alert("a", { severity: "HIGH" }));
  const store = kitchenOf(client);
  expect(store.state()).toBe(NO_KITCHEN);
  const seen: Kitchen[] = [];
  const off = store.onState((k) => seen.push(k));
  await pass(300);
  expect(store.state().productions.get("p1")).toEqual({ id: "p1", batchNumber: "B1", status: "COOKING" });
  expect(store.state()).toMatchObject({ ready: true, alerts: [{ id: "a" }] });
  server.publish(UPDATES, update("p1", { status: "QUALITY_CHECK" }), "p1");
  server.publish(ALERTS, alert("a", { status: "RESOLVED" }, 20));
  await pass(100);
  expect(store.state().productions.get("p1")?.status).toBe("QUALITY_CHECK");
  expect(store.state().alerts).toEqual([]);
  expect(seen.at(-1)).toBe(store.state());
  off();
  store.onState(() => undefined)();
  await pass(500);
  expect(store.state().productions.size).toBe(1); // somebody may be back at once
  await pass(3000);
  expect([store.state(), server.connections.length]).toEqual([NO_KITCHEN, 0]);
});

test("after a gap rows stay, and the app's own rows replace them if it has told how to fetch them", async () => {
  const load = vi.fn(async () => [{ id: "p9", status: "PLANNED" as const }]);
  const plain = kitchenOf(client);
  const loading = kitchenOf(client, { load });
  const offs = [plain.onState(() => undefined), loading.onState(() => undefined)];
  await pass(300);
  server.publish(UPDATES, update("p1", { status: "COOKING" }), "p1");
  await pass(100);
  server.turn(UPDATES);
  await pass(300);
  expect([...plain.state().productions.keys()]).toEqual(["p1"]);
  expect([...loading.state().productions.keys()]).toEqual(["p9"]);
  expect(load).toHaveBeenCalledTimes(2);
  expect(load).toHaveBeenCalledWith("sppg_7");
  for (const off of offs) off();
  await pass(3000);
});

test("who we are is asked until there is an answer", async () => {
  server.http = "down";
  const store = kitchenOf(client);
  const off = store.onState(() => undefined);
  await pass(12_000);
  server.http = "works";
  await pass(6_000);
  expect(store.state().ready).toBe(true);
  off();
  await pass(3000);
});
