/** Atoll's version, from the package that this file belongs to. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The folder with the package.json above this file: the repository, or the built package. */
export function packageFolder(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, "package.json"))) {
    const above = dirname(folder);
    if (above === folder) throw new Error("no package.json above the program");
    folder = above;
  }
  return folder;
}

export function readVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageFolder(), "package.json"), "utf8")) as { version: string };
  return version;
}
