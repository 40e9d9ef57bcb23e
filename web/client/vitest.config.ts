import { defineConfig } from "vitest/config";

// Time is made up in these tests, and what a busy machine takes for it proves nothing: only a test that hangs is to end.
export default defineConfig({ test: { testTimeout: 300_000, hookTimeout: 300_000, include: ["test/**/*.test.ts"] } });
