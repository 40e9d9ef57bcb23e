import { join } from "node:path";
import { defineConfig } from "vitest/config";

const client = (name: string) => join(import.meta.dirname, "..", "client", "src", `${name}.ts`);

export default defineConfig({
  resolve: {
    alias: [
      { find: /^kentongan$/, replacement: client("index") },
      { find: /^kentongan-react$/, replacement: join(import.meta.dirname, "src", "index.ts") },
      { find: /^kentongan\/(\w+)$/, replacement: client("$1") },
    ],
  },
  // As in ../client: only a test that hangs is to end.
  test: { testTimeout: 300_000, hookTimeout: 300_000, include: ["test/**/*.test.{ts,tsx}"] },
});
