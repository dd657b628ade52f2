// Keeps: the default MCP server is the installed package, run by this very Node: nothing is downloaded at the start.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const packageName = "@modelcontextprotocol/server-filesystem";

/** The name that gets the built-in command when the configuration gives it none. */
export const filesystemServerName = "filesystem";

/** How to start the file server on a folder. Throws when the package is not installed. */
export function filesystemCommand(folder: string): { command: string; args: string[] } {
  const manifestFile = createRequire(import.meta.url).resolve(`${packageName}/package.json`);
  const manifest = JSON.parse(readFileSync(manifestFile, "utf8")) as { bin: Record<string, string> };
  const [program] = Object.values(manifest.bin);
  if (program === undefined) throw new Error(`${packageName} names no program`);
  return { command: process.execPath, args: [path.join(path.dirname(manifestFile), program), folder] };
}
