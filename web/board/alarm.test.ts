import assert from "node:assert/strict";
import test from "node:test";

import { gradeOf, messageOf, sounding, soundKey, stillSilenced } from "./alarm.ts";
import { readEvent, type Alert } from "./kitchen.ts";

function alert(id: string, severity: string, rest: object = {}): Alert {
  const event = readEvent({ data: { type: "production_alert", productionId: "p1", alert: { id, severity, status: "OPEN", raisedAt: 5, ...rest } }, time: 9 });
  assert.ok(event?.kind === "alert");
  return event.alert;
}

test("HIGH and CRITICAL sound until acknowledged, or silenced here", () => {
  const alerts = [alert("a", "CRITICAL"), alert("b", "HIGH", { status: "ACKNOWLEDGED" }), alert("c", "MEDIUM"), alert("d", "HIGH")];
  assert.deepEqual(sounding(alerts, new Set()).map((a) => a.id), ["a", "d"]);
  assert.equal(gradeOf(sounding(alerts, new Set())), "CRITICAL");
  const silenced = new Set([soundKey(alert("a", "CRITICAL"))]);
  assert.deepEqual(sounding(alerts, silenced).map((a) => a.id), ["d"]);
  assert.equal(gradeOf([]), undefined);
});

test("one that rises sounds again, and what is over is forgotten", () => {
  const high = alert("a", "HIGH");
  const silenced = new Set([soundKey(high), "gone"]);
  assert.deepEqual(sounding([high], silenced), []);
  const risen = alert("a", "CRITICAL", { risenAt: 7 });
  assert.deepEqual(sounding([risen], silenced), [risen]);
  assert.deepEqual([...stillSilenced([high], silenced)], [soundKey(high)]);
});

test("the words of an alert, in both shapes", () => {
  assert.equal(messageOf(alert("a", "LOW", { message: { id: "Suhu", en: "Heat" } }), "en"), "Heat");
  assert.equal(messageOf(alert("a", "LOW", { message: { id: "Suhu" } }), "en"), "Suhu");
  assert.equal(messageOf(alert("a", "LOW", { message: "Lain" }), "id"), "Lain");
  assert.equal(messageOf(alert("a", "LOW", { code: "EAT_BY", message: 5 }), "id"), "EAT_BY");
});
