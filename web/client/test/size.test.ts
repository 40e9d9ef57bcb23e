import { build } from "esbuild";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";

/** What a page loads over the line for each entry, as an app's own build makes it. README.md and docs/client.md tell the figures. */
const BUDGETS: readonly (readonly [string, readonly string[], number])[] = [
  ["the client", ["index"], 8 << 10],
  ["the client that shares its line", ["index", "tabs"], 10 << 10],
  ["the outbox alone", ["outbox"], 3 << 10],
  ["the client with everything", ["index", "tabs", "outbox", "production"], 14 << 10],
];

test.each(BUDGETS)("%s keeps to its budget", async (_, entries, budget) => {
  const source = entries.map((e) => `export * from ${JSON.stringify(join(import.meta.dirname, "..", "src", `${e}.ts`))};`).join("\n");
  const out = await build({ stdin: { contents: source, resolveDir: import.meta.dirname }, bundle: true, minify: true, format: "esm", target: "es2022", write: false });
  const size = gzipSync(out.outputFiles[0]!.contents, { level: 9 }).length;
  console.log(`${entries.join(" + ")}: ${size} bytes`);
  expect(size).toBeLessThanOrEqual(budget);
});
