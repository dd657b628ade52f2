/**
 * Builds dist/program/, all of `atoll` in a few files: `npm start` and `npm test` run it, and an installed package. Does
 * nothing when it is newer than its sources. As a program: the folder of the tree, default this one.
 */
import { randomUUID } from "node:crypto";
import { renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { freshProgramIn, programIn } from "../../bin/program.js";
import { repository } from "./source-files.ts";

export async function buildProgram(root = repository): Promise<void> {
  if (freshProgramIn(root) !== undefined) return;
  // Only now: a program that is fresh does not wait for it.
  const bundler = await import("rolldown").catch(() => undefined);
  if (bundler === undefined) {
    process.stderr.write(
      "rolldown is not installed (a development package): the sources run as they are, and start later\n",
    );
    return;
  }
  const { rolldown } = bundler;
  const bundle = await rolldown({
    input: {
      main: join(root, "services/main.ts"),
      // A thread, which is started by the path of its file.
      "check-thread": join(root, "services/toolrouter/schema/checking/check-thread.ts"),
    },
    platform: "node",
    resolve: { conditionNames: ["node", "import", "default"] },
  });
  const folder = dirname(programIn(root));
  const fresh = `${folder}.${randomUUID()}`;
  await bundle.write({
    dir: fresh,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "[name]-[hash].js",
    sourcemap: true,
  });
  await bundle.close();
  // Nobody finds half of it.
  rmSync(folder, { recursive: true, force: true });
  renameSync(fresh, folder);
}

/** Vitest calls it before the first test. */
export default (): Promise<void> => buildProgram();

if (import.meta.main) await buildProgram(resolve(process.argv[2] ?? repository));
