// The source files of the repository, for the tests that read them.
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const repository = join(import.meta.dirname, "../..");

export interface SourceFile {
  /** Relative to the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** Reads every .ts and .tsx file under the given top-level folders, what was built or installed left out. */
export function readSourceFiles(...folders: readonly string[]): SourceFile[] {
  return folders
    .flatMap((folder) => globSync(`${folder}/**/*.{ts,tsx}`, { cwd: repository, exclude: isForeign }))
    .map((path) => path.replaceAll("\\", "/"))
    .map((path) => ({ path, text: readFileSync(join(repository, path), "utf8") }));
}

/** Tests stand beside their source, and so may what they share (`x.fixture.ts`). */
export function isTestFile(path: string): boolean {
  return path.startsWith("test/") || /\.(test|fixture)\.tsx?$/.test(path);
}

function isForeign(path: string): boolean {
  return /(^|[\\/])(node_modules|dist)([\\/]|$)/.test(path);
}
