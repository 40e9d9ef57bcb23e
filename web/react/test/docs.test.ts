import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

test("the examples of docs/client.md compile", () => {
  const doc = readFileSync(join(root, "..", "..", "docs", "client.md"), "utf8");
  const blocks = [...doc.matchAll(/^```(tsx?)\n([\s\S]*?)^```$/gm)];
  expect(blocks.length).toBeGreaterThan(5);
  const dir = mkdtempSync(join(root, "docs-examples-")); // in the package, so that imports resolve
  try {
    blocks.forEach(([, kind, code], i) => writeFileSync(join(dir, `example${i}.${kind}`), code ?? ""));
    writeFileSync(join(dir, "tsconfig.json"), JSON.stringify({ extends: "../tsconfig.json", compilerOptions: { types: ["node"], noUnusedLocals: false }, include: ["."] }));
    const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
    const run = spawnSync(process.execPath, [tsc, "-p", dir], { encoding: "utf8" });
    expect(run.stdout + run.stderr).toBe("");
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
