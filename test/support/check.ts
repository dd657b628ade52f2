// The one command that checks everything: `npm run check`. Every step runs, also after one failed, so that one run
// shows all that is wrong; the exit code is 1 when any step failed. Keeps L9: a step that cannot run says so.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { generateCode, withTemporaryFolder } from "../../proto/generate.ts";
import { vendorProtos } from "../../proto/vendor-protos.ts";
import { measureSources } from "./measure-sources.ts";
import { repository } from "./source-files.ts";

type Outcome =
  | { readonly kind: "passed" }
  | { readonly kind: "failed"; readonly why: string }
  | { readonly kind: "skipped"; readonly why: string };

interface Step {
  readonly name: string;
  readonly run: () => Outcome;
}

const passed: Outcome = { kind: "passed" };

/** Runs a tool of node_modules/.bin in the repository, its output straight to ours. */
function runTool(tool: string, ...args: readonly string[]): Outcome {
  const bin = join(repository, "node_modules/.bin");
  // The tools are scripts that look for `node` on the PATH; it has to be the pinned one.
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH ?? ""}` };
  const { status, signal, error } = spawnSync(join(bin, tool), args, { cwd: repository, env, stdio: "inherit" });
  if (error) return { kind: "failed", why: error.message };
  return status === 0 ? passed : { kind: "failed", why: `${tool} ended with ${signal ?? `exit code ${status}`}` };
}

function askGit(...args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync("git", args, { cwd: repository, encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

function readTree(root: string): Map<string, string> {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((file) => join(file.parentPath, file.name));
  return new Map(paths.map((path) => [relative(root, path).replaceAll(sep, "/"), readFileSync(path, "utf8")]));
}

/** Names every file that differs between two trees. */
function compareTrees(actual: Map<string, string>, expected: Map<string, string>): string[] {
  const paths = [...new Set([...actual.keys(), ...expected.keys()])].sort();
  return paths.flatMap((path) => {
    if (!expected.has(path)) return [`${path} is not generated any more`];
    if (!actual.has(path)) return [`${path} is missing`];
    return actual.get(path) === expected.get(path) ? [] : [`${path} differs`];
  });
}

function checkGenerated(): Outcome {
  return withTemporaryFolder((folder) => {
    const fresh = join(folder, "gen");
    generateCode(folder);
    vendorProtos(join(fresh, "proto"));
    const differences = compareTrees(readTree(join(repository, "gen")), readTree(fresh));
    if (differences.length === 0) return passed;
    return { kind: "failed", why: `gen/ is stale; run npm run generate:\n  ${differences.join("\n  ")}` };
  });
}

function checkBreaking(): Outcome {
  const gitFolder = askGit("rev-parse", "--path-format=absolute", "--git-common-dir");
  if (gitFolder === undefined) return { kind: "skipped", why: "this is no git checkout" };
  const main = ["main", "origin/main"].find((ref) => askGit("cat-file", "-t", `${ref}:buf.yaml`) !== undefined);
  if (main === undefined) return { kind: "skipped", why: "git main holds no contracts yet" };
  return runTool("buf", "breaking", "proto", "--against", `${gitFolder}#format=git,ref=${main},subdir=proto`);
}

/** With the contracts as they were when v1 was frozen: an image of all files, without comments (`buf build`). */
function checkFrozen(): Outcome {
  return runTool("buf", "breaking", "proto", "--against", "proto/frozen-v1.binpb", "--exclude-imports");
}

function checkSizes(): Outcome {
  const problems = measureSources();
  return problems.length === 0 ? passed : { kind: "failed", why: problems.join("\n") };
}

const steps: readonly Step[] = [
  { name: "generated code is fresh", run: checkGenerated },
  { name: "buf lint", run: () => runTool("buf", "lint") },
  { name: "buf breaking against main", run: checkBreaking },
  { name: "buf breaking against the frozen v1", run: checkFrozen },
  { name: "biome", run: () => runTool("biome", "check", "--diagnostic-level=warn", "--error-on-warnings") },
  { name: "sizes and cycles", run: checkSizes },
  { name: "tsc", run: () => runTool("tsc", "-p", "tsconfig.json") },
  { name: "tsc web", run: () => runTool("tsc", "-p", "web/tsconfig.json") },
  { name: "oxlint", run: () => runTool("oxlint", "--type-aware", "--deny-warnings") },
  { name: "knip", run: () => runTool("knip") },
  { name: "vitest", run: () => runTool("vitest", "run") },
];

function runStep({ name, run }: Step): Outcome {
  console.log(`\n── ${name}`);
  try {
    return run();
  } catch (error) {
    return { kind: "failed", why: error instanceof Error ? error.message : String(error) };
  }
}

const results = steps.map((step) => {
  const startedMs = performance.now();
  const outcome = runStep(step);
  if (outcome.kind !== "passed") console.log(outcome.why);
  return { name: step.name, outcome, seconds: (performance.now() - startedMs) / 1000 };
});

console.log("\n── summary");
for (const { name, outcome, seconds } of results) {
  console.log(`${outcome.kind.padEnd(8)} ${seconds.toFixed(1).padStart(6)} s  ${name}`);
}
process.exitCode = results.some(({ outcome }) => outcome.kind === "failed") ? 1 : 0;
