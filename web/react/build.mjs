// Builds src/ into dist/: one ES module with its types. The client's have to be built before, for its types.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "dist");
await rm(out, { recursive: true, force: true });
await build({
  absWorkingDir: here,
  entryPoints: ["src/index.ts"],
  outdir: out,
  bundle: true,
  external: ["react", "react/*", "kentongan", "kentongan/*"],
  banner: { js: '"use client";' }, // hooks run where there is a page
  jsx: "automatic",
  format: "esm",
  charset: "utf8",
  target: "es2022",
  logLevel: "warning",
});
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
const types = spawnSync(process.execPath, [tsc, "-p", join(here, "tsconfig.build.json"), "--outDir", out], { stdio: "inherit" });
process.exitCode = types.status ?? 1;
