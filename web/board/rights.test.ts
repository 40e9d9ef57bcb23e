import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { isShared, may, ROLES, type Right } from "./rights.ts";

test("the table is the server's", () => {
  const source = readFileSync("../production/role_test.go", "utf8");
  const rows = (/const table = `\n([^`]+)`/.exec(source)?.[1] ?? "").trim().split("\n");
  assert.equal(rows[0]?.trim().split(/\s+/).length, ROLES.length + 1);
  const mine: Right[] = [
    "work", "measure", "check", "release", "rework", "cancel-planned", "cancel-later", "acknowledge", "acknowledge-cost", "resolve-high", "resolve-critical", "dispatch",
  ];
  const table = new Map(rows.slice(1).map((row) => {
    const [right = "", ...cells] = row.trim().split(/\s+/);
    return [right, cells];
  }));
  const check = (right: Right, cells: readonly string[] | undefined) => {
    assert.ok(cells, right);
    ROLES.forEach((role, i) => assert.equal(may(role, right), cells[i] === "+", `${role} ${right}`));
  };
  for (const right of mine) check(right, table.get(right));
  check("export", table.get("export-cost")); // who may export costs only sees a log with costs only
});

test("a role that is not known may nothing", () => {
  for (const role of [undefined, "", "SPPG_CHEF", "constructor"]) assert.equal(may(role, "work"), false);
  assert.deepEqual([isShared("SPPG_STAFF_DAPUR"), isShared("SPPG_KEPALA"), isShared(undefined)], [true, false, false]);
});
