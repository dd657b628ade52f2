// Keeps: `~` is the home folder of whoever runs the mesh; another user's home is never guessed.
import { homedir } from "node:os";
import path from "node:path";
import type { Parsed } from "../resolving/addresses.ts";
import type { Environment } from "../settings.ts";

/** HOME, on Windows USERPROFILE, else what the system knows of this user. */
export function homeFolder(env: Environment): string {
  const { HOME, USERPROFILE } = env;
  return HOME || USERPROFILE || homedir();
}

/** A path with `~` at its beginning put in. `~name` is not read. */
export function expandHome(text: string, env: Environment): Parsed<string> {
  if (!text.startsWith("~")) return { value: text };
  if (text === "~") return { value: homeFolder(env) };
  if (text.startsWith("~/") || text.startsWith("~\\")) return { value: path.join(homeFolder(env), text.slice(2)) };
  return { expected: "a path without another user's home", hint: "Write the whole path; only `~/` is read." };
}
