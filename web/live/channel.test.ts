import assert from "node:assert/strict";
import test from "node:test";

import { readAdmission, readRefusal } from "./api.ts";
import { behind, channelsOf, isTenant, label, missing, standing, unseen } from "./channel.ts";

const at = (epoch: string, offset: number) => ({ epoch, offset });

test("where a live message stands", () => {
  const fresh = unseen("a");
  assert.equal(standing(fresh, at("e", 9)), "next");
  const c = { ...fresh, seen: at("e", 5), head: at("e", 5) };
  assert.deepEqual([4, 5, 6, 7].map((o) => standing(c, at("e", o))), ["seen", "seen", "next", "hole"]);
  assert.equal(standing(c, at("f", 6)), "hole");
});

test("which messages of the history are wanted", () => {
  const c = { ...unseen("a"), seen: at("e", 3), head: at("e", 6) };
  assert.deepEqual([3, 4, 6, 7].map((o) => missing(c, at("e", o))), [false, true, true, false]);
  assert.equal(missing(c, at("f", 4)), false);
  assert.equal(missing({ ...c, seen: at("old", 99) }, at("e", 1)), true);
  assert.equal(missing(unseen("a"), at("e", 1)), false);
});

test("behind looks at channels of which the head is known", () => {
  const channels = new Map([["a", { ...unseen("a"), head: at("e", 5) }], ["b", unseen("b")]]);
  assert.equal(behind(channels, new Map([["a", 5], ["b", 9], ["c", 9]])), false);
  assert.equal(behind(channels, new Map([["a", 6]])), true);
});

test("names of channels for reading", () => {
  assert.deepEqual(channelsOf("sppg_7").map((c) => label(c, "sppg_7")), [
    "production:updates", "production:alerts", "menu:updates", "inventory:updates", "distribution:updates", "hrd:updates",
    "procurement:updates", "notifications", "updates", "sppg:production:created", "dashboard-update", "notification", "system-alert",
  ]);
  assert.equal(label("updates:x", ""), "updates:x");
  assert.equal(label("x", "x"), "x");
});

test("tenant ids", () => {
  for (const s of ["a", "sppg_7", "clx0-Z", "x".repeat(64)]) assert.ok(isTenant(s), s);
  for (const s of ["", "a b", "a:b", "a*", "a\n", "á", "x".repeat(65)]) assert.ok(!isTenant(s), s);
});

test("the connection info is a kitchen, or a reason for none", () => {
  const info = (data: unknown) => ({ success: true, data });
  assert.deepEqual(readAdmission(info({ sppgId: "s7", userId: "u", channels: ["a:s7", "a:s7", 5, "b:s7"] }), "other"), {
    kitchen: { tenant: "s7", name: undefined, channels: ["a:s7", "b:s7"] }, // chosen counts for nothing with a kitchen of one's own
  });
  assert.deepEqual(readAdmission(info({ sppgId: "", channels: [] }), undefined), { denial: "choose" });
  assert.deepEqual(readAdmission(info({ sppgId: null }), "not a tenant"), { denial: "choose" });
  assert.deepEqual(readAdmission(info({ sppgId: "" }), "s9"), { kitchen: { tenant: "s9", name: undefined, channels: channelsOf("s9") } });
  for (const answer of [null, {}, [], info(null), { success: false, data: {} }, "x"]) assert.throws(() => readAdmission(answer, undefined));
});

test("a refusal tells the account from the way in which one came", () => {
  assert.equal(readRefusal({ success: false, error: { code: "no_tenant", message: "" } }), "forbidden");
  for (const answer of [{ success: false, error: { code: "origin_not_allowed" } }, { error: "no_tenant" }, null, "x"]) assert.equal(readRefusal(answer), "refused");
});
