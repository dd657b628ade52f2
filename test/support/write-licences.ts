/** The licences of the packages whose code was bundled: they ask to go with it. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface PackageJson {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
}

/**
 * Writes `THIRD-PARTY-LICENSES.txt`.
 *
 * @param moduleIds The paths of all modules that a bundle has; what stands in no `node_modules` is ours.
 */
export function writeLicences(folder: string, moduleIds: Iterable<string>): void {
  const packages = new Set<string>();
  for (const id of moduleIds) {
    const found = /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(id.replace(/^\0/, ""));
    if (found !== null) packages.add(found[0]);
  }
  const texts = [...packages].map(describe).sort();
  writeFileSync(join(folder, "THIRD-PARTY-LICENSES.txt"), texts.join(`\n${"-".repeat(80)}\n\n`));
}

function describe(folder: string): string {
  const {
    name = "",
    version = "",
    license = "",
  } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as PackageJson;
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  const texts = files.map((file) => readFileSync(join(folder, file), "utf8").trim());
  return `${name} ${version} (${license})\n\n${texts.join("\n\n") || "The package has no file with its licence."}\n`;
}
