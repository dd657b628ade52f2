// Test settings of the whole repository. `npm test` runs everything but test/bench (measurements) and test/chaos
// (long fault runs). The latter run when a path asks for them: `npm test -- test/chaos`.
import { defaultExclude, defineConfig } from "vitest/config";

const chaosAskedFor = process.argv.some((argument) => argument.includes("test/chaos"));

export default defineConfig({
  test: {
    include: ["{services,proto,web,test}/**/*.test.ts"],
    exclude: [...defaultExclude, "test/bench/**", ...(chaosAskedFor ? [] : ["test/chaos/**"])],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // On a busy machine a process may need seconds for what else takes a moment.
    expect: { poll: { timeout: 10_000 } },
  },
});
