// Keeps: a child process sees what it needs to run and nothing else; keys and tokens of the mesh are not inherited.
import type { Environment } from "./settings.ts";

const inheritedNames = ["PATH", "HOME", "LANG", "TMPDIR", "TERM", "USER", "SHELL"];

/** Without these a program does not start on Windows, or does not find its folders. */
const windowsNames = [
  "APPDATA",
  "COMSPEC",
  "HOMEDRIVE",
  "HOMEPATH",
  "LOCALAPPDATA",
  "PATHEXT",
  "SYSTEMDRIVE",
  "SYSTEMROOT",
  "TEMP",
  "TMP",
  "USERNAME",
  "USERPROFILE",
];

/** The part of an environment that MCP servers inherit. */
export function inheritedEnv(env: Environment, platform: NodeJS.Platform = process.platform): Record<string, string> {
  const onWindows = platform === "win32";
  const names = new Set(onWindows ? [...inheritedNames, ...windowsNames] : inheritedNames);
  const inherited: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && names.has(onWindows ? name.toUpperCase() : name)) inherited[name] = value;
  }
  return inherited;
}
