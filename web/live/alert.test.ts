import assert from "node:assert/strict";
import test from "node:test";

import { ALERT_LIFE_MS, applyAlert, byGravity, gravest, MAX_ALERTS, type Alerts } from "./alert.ts";
import { chance, HOSTILE, mess } from "./random.test-support.ts";

const NONE: Alerts = new Map();

function raise(alert: object, productionId = "p1"): unknown {
  return { type: "production_alert", productionId, alert, timestamp: 1 };
}

function after(...events: unknown[]): Alerts {
  return events.reduce<Alerts>((a, e, i) => applyAlert(a, e, 1000 + i), NONE);
}

test("an alert is raised, acknowledged and resolved", () => {
  const alert = { id: "a1", code: "CORE_TEMP_LOW", severity: "HIGH", status: "OPEN", message: { id: "Suhu inti kurang", en: "Core temperature low" }, value: 72.4, limit: 75, unit: "°C" };
  const open = after(raise(alert));
  const a = open.get("a1");
  assert.ok(a);
  assert.deepEqual([a.severity, a.message.id, a.message.en, a.value, a.limit, a.unit, a.acknowledged, a.raisedAt],
    ["HIGH", "Suhu inti kurang", "Core temperature low", 72.4, 75, "°C", false, 1000]);
  const known = applyAlert(open, raise({ ...alert, status: "ACKNOWLEDGED" }), 5000);
  assert.equal(known.get("a1")?.acknowledged, true);
  assert.equal(known.get("a1")?.raisedAt, 1000);
  for (const status of ["RESOLVED", "AUTO_RESOLVED"]) assert.equal(applyAlert(known, raise({ ...alert, status }), 6000).size, 0);
});

test("an alert of an app with fewer words is shown with what it has", () => {
  const a = [...after(raise({ type: "TEMPERATURE", severity: "critical", message: "Suhu turun" })).values()][0];
  assert.ok(a);
  assert.deepEqual([a.severity, a.message.id, a.message.en, a.code], ["CRITICAL", "Suhu turun", "Suhu turun", "TEMPERATURE"]);
  const b = [...after(raise({ message: { en: "only English" }, severity: "purple" })).values()][0];
  assert.ok(b);
  assert.deepEqual([b.severity, b.message.id], [undefined, "only English"]);
});

test("one alert of a production and code replaces the one before", () => {
  const alerts = after(raise({ code: "EAT_BY", severity: "MEDIUM" }), raise({ code: "EAT_BY", severity: "HIGH" }), raise({ code: "EAT_BY", severity: "LOW" }, "p2"));
  assert.deepEqual(byGravity(alerts).map((a) => [a.productionId, a.severity]), [["p1", "HIGH"], ["p2", "LOW"]]);
});

test("the gravest stand first, and the unknown before the light ones", () => {
  const alerts = after(...["LOW", "CRITICAL", "odd", "MEDIUM", "HIGH"].map((severity) => raise({ id: severity, severity })));
  assert.deepEqual(byGravity(alerts).map((a) => a.key), ["CRITICAL", "HIGH", "MEDIUM", "odd", "LOW"]);
  assert.equal(gravest(alerts, "p1"), "CRITICAL");
  assert.equal(gravest(after(raise({ id: "a", severity: "LOW" })), "p1"), "LOW");
  assert.equal(gravest(alerts, "p2"), undefined);
});

test("of the words of the platform to all kitchens the newest is shown", () => {
  const say = (id: string) => ({ type: "system_alert", alert: { id, severity: "LOW", status: "OPEN", message: { id, en: id } } });
  assert.deepEqual(byGravity(after(say("s1"), say("s2"))).map((a) => a.message.id), ["s2"]);
});

test("an alert without an end is forgotten after a day", () => {
  const old = after(raise({ id: "old", severity: "CRITICAL" }));
  const next = applyAlert(old, raise({ id: "new", severity: "LOW" }), 1001 + ALERT_LIFE_MS);
  assert.deepEqual([...next.keys()], ["new"]);
});

test("the lightest and oldest go when there are too many", () => {
  let alerts = after(raise({ id: "grave", severity: "CRITICAL" }));
  for (let i = 0; i < MAX_ALERTS + 5; i++) alerts = applyAlert(alerts, raise({ id: `a${i}`, severity: "LOW" }), 2000 + i);
  assert.equal(alerts.size, MAX_ALERTS);
  assert.ok(alerts.has("grave"));
  assert.equal(alerts.has("a0"), false);
});

test("what is no alert leaves the same map, and nothing makes it throw", () => {
  const before = after(raise({ id: "a", severity: "LOW" }));
  for (const event of [...HOSTILE, ...HOSTILE.map((alert) => ({ type: "production_update", alert }))]) assert.equal(applyAlert(before, event, 2000), before);
  const random = chance(3);
  let alerts = before;
  for (let i = 0; i < 4000; i++) alerts = applyAlert(alerts, { type: "production_alert", productionId: mess(random), alert: mess(random) }, i);
  assert.ok(alerts.size > 1 && alerts.size <= MAX_ALERTS);
});
