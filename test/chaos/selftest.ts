/**
 * A checker that cannot fail is decoration: `npm run chaos:selftest [-- --only WORDS] [--seconds 40] [--seed N]` runs the
 * chaos first on the code as it is, then on copies of it that are broken in one way each, and fails unless the first is
 * found whole and every other one is caught for the right reason.
 *
 * Bounded: by the number of mutations times `seconds` and a few minutes each; ends only processes that it started.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Mutation, mutations } from "./mutations.ts";

const { values: flags } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    seconds: { type: "string", default: "40" },
    seed: { type: "string", default: "1" },
  },
});

const root = resolve(import.meta.dirname, "../..");
/** What a run may take beside its faults: start, rest, the last read. */
const restMs = 300_000;

interface Outcome {
  /** Undefined when the run gave no figures. */
  readonly found: readonly string[] | undefined;
  readonly figures: Readonly<Record<string, unknown>>;
}

let failures = 0;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const chosen = mutations.filter(({ name }) => name.includes(flags.only));
if (flags.only === "") {
  const { found } = runChaos(root, ["--kill-all-every-ms", "15000"]);
  report("the code as it is", found?.length === 0, found?.[0] ?? "no problem");
}
for (const mutation of chosen) {
  const folder = mkdtempSync(join(tmpdir(), "atoll-mutant-"));
  try {
    breakCopy(folder, mutation);
    const { found, figures } = runChaos(folder, ["--kill-all-every-ms", "15000", ...(mutation.flags ?? [])]);
    const right = found?.find((problem) => mutation.caughtAs.test(problem));
    const seen = found === undefined ? "the run gave no verdict" : (found[0] ?? `nothing in ${figures["runs"]} runs`);
    report(mutation.name, right !== undefined, right ?? `expected ${mutation.caughtAs}, found: ${seen}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
say(failures === 0 ? `${chosen.length} of ${chosen.length} broken copies were caught` : `${failures} NOT AS EXPECTED`);
process.exit(failures === 0 ? 0 : 1);

function report(name: string, isExpected: boolean, shown: string): void {
  if (!isExpected) failures += 1;
  say(`${isExpected ? "ok    " : "FAILED"} ${name}\n       ${shown}`);
}

/** A copy of the tree with the edits in it. */
function breakCopy(folder: string, { edits, name }: Mutation): void {
  const left = new Set(["node_modules", ".git", ".atoll", "test"]);
  cpSync(root, folder, { recursive: true, filter: (source) => !left.has(basename(source)) });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const { file, find, replace } of edits) {
    const path = join(folder, file);
    const parts = readFileSync(path, "utf8").split(find);
    if (parts.length !== 2) throw new Error(`${name}: ${file} has ${parts.length - 1} times: ${find}`);
    writeFileSync(path, parts.join(replace));
  }
}

function runChaos(tree: string, more: readonly string[]): Outcome {
  const chaos = resolve(import.meta.dirname, "chaos.ts");
  const words = [chaos, "--json", "--root", tree, "--seconds", flags.seconds, "--seed", flags.seed, ...more];
  const { stdout } = spawnSync(process.execPath, words, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    timeout: Number(flags.seconds) * 1_000 + restMs,
    maxBuffer: 64 * 1_048_576,
  });
  const last = stdout.trim().split("\n").at(-1) ?? "";
  if (!last.startsWith("{")) return { found: undefined, figures: {} };
  const figures = JSON.parse(last) as Readonly<Record<string, unknown>> & { readonly found: readonly string[] };
  return { found: figures.found, figures };
}
