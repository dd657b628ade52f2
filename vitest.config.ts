// Test settings of the whole repository. `npm test` runs everything but test/bench (measurements) and the attacks that take
// the whole machine for minutes (`npm run attacks`). The tests of test/chaos are those of its checkers; its long fault runs
// are programs of their own (`npm run chaos`).
import { defaultExclude, defineConfig } from "vitest/config";

const attacks = ["floods", "flooding-servers", "public-calls", "unread-answers"].map(
  (name) => `test/edge/${name}.test.ts`,
);

export default defineConfig({
  test: {
    include: ["{services,proto,web,test}/**/*.test.ts"],
    exclude: [...defaultExclude, "test/bench/**", ...(process.env["ATOLL_ATTACKS"] === undefined ? attacks : [])],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Many tests run several real processes: on a shared machine of two cores one may miss its time once. What passes only
    // the second time is told by the reporter, and its race is to be found.
    retry: process.env["CI"] === undefined ? 0 : 1,
    // On a busy machine a process may need seconds for what else takes a moment.
    expect: { poll: { timeout: 20_000 } },
  },
});
