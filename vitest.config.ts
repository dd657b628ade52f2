// Test settings of the whole repository. `npm test` runs everything but test/bench (measurements) and the attacks that take
// the whole machine for minutes (`npm run attacks`). The tests of test/chaos are those of its checkers; its long fault runs
// are programs of their own (`npm run chaos`).
import { defaultExclude, defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{services,proto,web,test}/**/*.test.ts"],
    exclude: [...defaultExclude, "test/bench/**"],
    globalSetup: ["test/support/build-program.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // On a busy machine a process may need seconds for what else takes a moment.
    expect: { poll: { timeout: 20_000 } },
  },
});
