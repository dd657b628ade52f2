/** Builds the web page when a checkout has none yet. An installed package brings it along. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Output } from "../command.ts";

const buildTimeoutMs = 120_000;

/** A page that can't be built is no reason not to start: the gateway then says how to build it. */
export async function buildWebPage(folder: string, output: Output): Promise<void> {
  const vite = join(folder, "node_modules", "vite", "bin", "vite.js");
  if (!existsSync(vite) || !existsSync(join(folder, "web", "index.html"))) return;
  output.note("Building the web page (only the first time) …");
  const child = spawn(process.execPath, [vite, "build", "web", "--logLevel", "warn"], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
    timeout: buildTimeoutMs,
  });
  const exit = await new Promise<number | null>((resolve) => {
    child.once("error", () => resolve(null));
    child.once("exit", resolve);
  });
  if (exit !== 0) output.note("The web page could not be built; everything else works. Try `npm run build:web`.");
}
