// Builds board/ into dist/, which embed.go takes in. The same sources and the same package-lock.json give the same bytes:
// no time, path or version of anything else goes into them.
import { build } from "esbuild";
import { copyFile, mkdir, readdir, rm, writeFile } from "node:fs/promises";

await mkdir("dist", { recursive: true });
await build({
  entryPoints: ["board/app.ts", "board/app.css"],
  outdir: "dist",
  bundle: true,
  format: "esm",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  // Cheap tablets often keep the browser engine that they were sold with.
  target: ["es2020", "chrome87", "firefox78", "safari15"],
  logLevel: "warning",
});
for (const file of ["index.html", "icon.svg"]) await copyFile(`board/${file}`, `dist/${file}`);
await writeFile("dist/.keep", ""); // Go embeds no empty folder, so that dist/ can be emptied and the binary still builds

const built = new Set(["app.js", "app.css", "index.html", "icon.svg", ".keep"]);
for (const file of await readdir("dist")) if (!built.has(file)) await rm(`dist/${file}`, { recursive: true });
