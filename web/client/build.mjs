// Builds src/ into dist/: ES modules with their types. The same sources give the same bytes. `node build.mjs DIR` builds the modules
// alone, into DIR.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "dist"));
await rm(out, { recursive: true, force: true });
await build({
  absWorkingDir: here,
  entryPoints: ["src/index.ts", "src/tabs.ts", "src/outbox.ts", "src/production.ts"],
  outdir: out,
  bundle: true,
  splitting: true,
  format: "esm",
  charset: "utf8",
  target: "es2022", // an app's own build knows for which browsers it is
  logLevel: "warning",
});
if (process.argv[2] !== undefined) process.exit(); // whoever only runs it needs no types
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
const types = spawnSync(process.execPath, [tsc, "-p", here, "--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--rootDir", join(here, "src"), "--outDir", out], { stdio: "inherit" });
process.exitCode = types.status ?? 1;
