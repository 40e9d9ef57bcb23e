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
  test: { testTimeout: 60_000, include: ["test/**/*.test.{ts,tsx}"] },
});
