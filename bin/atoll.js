#!/usr/bin/env -S node --max-semi-space-size=8
/**
 * The program `atoll`: what was built of the sources; in a checkout that was changed since, the sources. Plain JavaScript for any
 * Node: Atoll runs on Node 24, and where an older one comes first on the PATH, the Node that npm installed beside Atoll
 * takes over.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { freshProgramIn, programIn } from "./program.js";

const leastMajor = 24;
const folder = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = join(folder, "services", "main.ts");
const entry = existsSync(sources) ? (freshProgramIn(folder) ?? sources) : programIn(folder);

if (Number(process.versions.node.split(".")[0]) >= leastMajor) {
  await import(pathToFileURL(entry).href);
} else {
  const node = findNode();
  if (node === undefined) {
    console.error(
      `atoll: Node ${process.versions.node} is too old, and no Node ${leastMajor} is installed beside Atoll: install Node ${leastMajor}, or install Atoll with npm and without --omit=optional`,
    );
    process.exitCode = 1;
  } else {
    handOver(node);
  }
}

/** The Node of npm's packages, in the node_modules that this package has or stands in. */
function findNode() {
  const name = process.platform === "win32" ? "node.cmd" : "node";
  for (let above = folder; ; above = dirname(above)) {
    const found = join(above, "node_modules", ".bin", name);
    if (existsSync(found)) return found;
    if (dirname(above) === above) return undefined;
  }
}

/** Runs the same command with that Node; signals and exit code are passed on. */
function handOver(node) {
  const child = spawn(node, ["--max-semi-space-size=8", entry, ...process.argv.slice(2)], {
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  // Ctrl-C in a terminal reaches both of us.
  process.on("SIGINT", () => void (process.stdin.isTTY || child.kill("SIGINT")));
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => void child.kill(signal));
  child.once("error", (error) => {
    console.error(`atoll: ${node} does not run: ${error.message}`);
    process.exitCode = 1;
  });
  child.once("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal ?? "SIGTERM"] ?? 0);
  });
}
