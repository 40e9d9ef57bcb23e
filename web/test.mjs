// Runs live/**/*.test.ts and board/**/*.test.ts with node's own test runner. esbuild takes the types away first, because not every
// node that we build with can.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const tests = ["live", "board"].flatMap((folder) => {
  const found = readdirSync(folder, { recursive: true }).filter((name) => /\.test\.tsx?$/.test(name));
  if (found.length === 0) throw new Error(`no tests found in ${folder}/`);
  return found.map((name) => join(folder, name));
});
const outdir = mkdtempSync(join(tmpdir(), "kentongan-web-"));
try {
  await build({
    entryPoints: tests,
    outdir,
    outbase: ".",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    jsx: "automatic",
    jsxImportSource: "preact",
    sourcemap: "inline",
    logLevel: "warning",
  });
  const files = tests.map((name) => join(outdir, name.replace(/\.tsx?$/, ".mjs")));
  process.exitCode = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...files], { stdio: "inherit" }).status ?? 1;
} finally {
  rmSync(outdir, { recursive: true, force: true });
}
