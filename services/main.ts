#!/usr/bin/env -S node --max-semi-space-size=8
/**
 * The command line of Atoll: parses, runs one command, and turns what went wrong into a line and an exit code.
 *
 * A young generation of 8 MiB a half fits into the processor's cache: under load it is as fast as one of 64 MiB, which
 * V8 would take on a machine with much memory, and the process 100 MB smaller.
 */
import { setFlagsFromString } from "node:v8";
import { nameSources } from "./cli/starting/name-sources.ts";
import { keepCompiledModules } from "./kernel/config/compile-cache.ts";

const leastNodeMajor = 24;
if (Number(process.versions.node.split(".")[0]) < leastNodeMajor) {
  // Where npm brings no Node of its own (macOS), an old one would fail somewhere in the middle.
  process.stderr.write(`atoll: Node ${leastNodeMajor} or newer is needed, and this is ${process.versions.node}\n`);
  process.exit(2);
}
keepCompiledModules();
if (import.meta.filename.endsWith(".js")) nameSources(import.meta.url);
// What the start allocates is garbage by the time it is ready: a young generation that does not grow meanwhile keeps it
// from staying in memory for good.
setFlagsFromString("--semi-space-growth-factor=1");
const { runCommandLine } = await import("./cli/run-command-line.ts");
process.exitCode = await runCommandLine(process.argv.slice(2));
