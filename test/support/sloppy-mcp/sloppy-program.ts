/** Makes a sloppy MCP server that is started as a program; see script.ts. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import type { Script, SloppyRequest } from "./script.ts";

export interface SloppyProgram {
  readonly command: string;
  readonly args: string[];
  /** What all its lives were asked so far. */
  readonly requests: () => SloppyRequest[];
}

/** The program is started by whoever uses `command` and `args`, as often as it likes; each life begins the script anew. */
export function sloppyProgram(script: Script = {}): SloppyProgram {
  const folder = mkdtempSync(path.join(tmpdir(), "atoll-sloppy-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(path.join(folder, "script.json"), JSON.stringify(script));
  writeFileSync(path.join(folder, "history"), "");
  const lines = (): string[] => readFileSync(path.join(folder, "history"), "utf8").split("\n").slice(0, -1);
  return {
    command: process.execPath,
    args: [path.join(import.meta.dirname, "stdio-program.ts"), folder],
    requests: () => lines().map((line) => JSON.parse(line) as SloppyRequest),
  };
}
