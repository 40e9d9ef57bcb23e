// Builds live/ and board/ into dist/, which embed.go takes in. The same sources and the same package-lock.json give the same bytes:
// no time, path or version of anything else goes into them.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";

const common = {
  bundle: true,
  minify: true,
  charset: "utf8",
  legalComments: "none",
  // Cheap tablets often keep the browser engine that they were sold with.
  target: ["es2020", "chrome87", "firefox78", "safari15"],
  logLevel: "warning",
};

await mkdir("dist", { recursive: true });
await build({
  ...common,
  entryPoints: ["live/live.ts", "live/live.css", "board/board.tsx", "board/board.css"],
  entryNames: "[name]",
  outdir: "dist",
  format: "esm",
  jsx: "automatic",
  jsxImportSource: "preact",
});
const copied = { "live.html": "live/live.html", "board.html": "board/board.html", "board.webmanifest": "board/board.webmanifest", "icon.svg": "icon.svg" };
for (const [to, from] of Object.entries(copied)) await copyFile(from, `dist/${to}`);
await writeFile("dist/.keep", ""); // Go embeds no empty folder, so that dist/ can be emptied and the binary still builds

// The worker keeps the board for times without a line. Its name for what it keeps comes from the content, so that each build of other
// content is fetched as a whole, and no old script meets a new page.
const shell = ["board.html", "board.js", "board.css", "board.webmanifest", "icon.svg"];
const sum = createHash("sha256");
for (const file of shell) sum.update(await readFile(`dist/${file}`));
await build({
  ...common,
  entryPoints: ["board/worker.ts"],
  outfile: "dist/board-worker.js",
  format: "iife",
  define: { BUILD: JSON.stringify(sum.digest("hex").slice(0, 16)) },
});

const built = new Set([...Object.keys(copied), "live.js", "live.css", "board.js", "board.css", "board-worker.js", ".keep"]);
for (const file of await readdir("dist")) if (!built.has(file)) await rm(`dist/${file}`, { recursive: true });
