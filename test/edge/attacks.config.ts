/** Settings of the attacks that take the whole machine for minutes: `npm run attacks`. One file at a time: each measures. */
import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: resolve(import.meta.dirname, "../.."),
    include: ["test/edge/*.attack.ts"],
    globalSetup: [resolve(import.meta.dirname, "../support/build-program.ts")],
    pool: "forks",
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000 } },
  },
});
