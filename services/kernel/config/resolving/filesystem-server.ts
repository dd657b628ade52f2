/**
 * The default MCP server is one that the package brings along, run by this very Node: nothing is downloaded at the start.
 *
 * The built program has it in one file; sources run the installed package.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { packageFolder } from "../../package-files.ts";

const packageName = "@modelcontextprotocol/server-filesystem";

/** The name that gets the built-in command when the configuration gives it none. */
export const filesystemServerName = "filesystem";

/** How to start the file server on a folder. Throws when it is neither built nor installed. */
export function filesystemCommand(folder: string): { command: string; args: string[] } {
  const built = path.join(packageFolder(), "dist", "program", "server-filesystem.js");
  return { command: process.execPath, args: [existsSync(built) ? built : findInstalled(), folder] };
}

function findInstalled(): string {
  const manifestFile = createRequire(import.meta.url).resolve(`${packageName}/package.json`);
  const manifest = JSON.parse(readFileSync(manifestFile, "utf8")) as { bin: Record<string, string> };
  const [program] = Object.values(manifest.bin);
  if (program === undefined) throw new Error(`${packageName} names no program`);
  return path.join(path.dirname(manifestFile), program);
}
