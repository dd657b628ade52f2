/**
 * Where the built program is: all modules of `atoll` in a few files, which starts in half the time. Plain JavaScript for any
 * Node, as atoll.js is.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** What the program is built of, and by; none of it is in an installed package. */
const sources = ["services", "gen", "web/client", "package-lock.json", "test/support/build-program.ts"];

export function programIn(folder) {
  return join(folder, "dist", "program", "main.js");
}

/** The program of a checkout; undefined when it was not built, or before the last change of its sources. */
export function freshProgramIn(folder) {
  const program = programIn(folder);
  try {
    const builtMs = statSync(program).mtimeMs;
    return sources.every((path) => newestMs(join(folder, path)) < builtMs) ? program : undefined;
  } catch {
    return undefined;
  }
}

function newestMs(path) {
  const own = statSync(path);
  if (!own.isDirectory()) return own.mtimeMs;
  let newest = 0;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.name.endsWith(".test.ts")) continue;
    newest = Math.max(newest, newestMs(join(path, entry.name)));
  }
  return newest;
}
