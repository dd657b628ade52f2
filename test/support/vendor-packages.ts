/**
 * Puts the code of other packages beside what tsc made of ours, so that who installs Atoll installs only what its types and its
 * callers share with it (the dependencies of package.json), not everything that is behind a tool server or a model.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { rolldown } from "rolldown";
import { writeLicences } from "./write-licences.ts";

/** What tsc writes: one import or export a line, or a call. */
const imports = /^(?:import|export)\s(?:(.*?)\sfrom\s)?"([^"]+)"|\bimport\("([^"]+)"\)/gm;

interface Imported {
  readonly names: Set<string>;
  isWhole: boolean;
}

/** @param kept The packages that stay dependencies. */
export async function vendorPackages(root: string, dist: string, kept: readonly string[]): Promise<void> {
  const isOurs = (specifier: string): boolean =>
    /^(?:\.|node:)/.test(specifier) || kept.some((name) => specifier === name || specifier.startsWith(`${name}/`));
  const files = readdirSync(dist, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".js"))
    .map((path) => join(dist, path));
  const found = new Map<string, Imported>();
  for (const file of files) {
    for (const [, clause = "", named, called] of readFileSync(file, "utf8").matchAll(imports)) {
      const specifier = named ?? called ?? "";
      if (isOurs(specifier)) continue;
      const entry = found.get(specifier) ?? { names: new Set<string>(), isWhole: false };
      found.set(specifier, entry);
      if (called !== undefined) entry.isWhole = true;
      else for (const name of namesOf(clause, file)) entry.names.add(name);
    }
  }
  await bundle(root, dist, found, isOurs);
  for (const file of files) {
    const text = readFileSync(file, "utf8");
    const changed = text.replaceAll(imports, (whole: string, _clause, named?: string, called?: string) => {
      const specifier = named ?? called ?? "";
      if (!found.has(specifier)) return whole;
      const path = relative(dirname(file), join(dist, "vendor", `${fileName(specifier)}.js`)).replaceAll("\\", "/");
      return whole.replace(`"${specifier}"`, `"${path.startsWith(".") ? path : `./${path}`}"`);
    });
    if (changed !== text) writeFileSync(file, changed);
  }
}

/** `{ a, b as c }` → a, b. Throws at what tsc does not write here today. */
function namesOf(clause: string, file: string): string[] {
  const inner = /^\{(.*)\}$/.exec(clause.trim())?.[1];
  if (inner === undefined) throw new Error(`${file} imports "${clause}": only names can be vendored`);
  const words = inner.split(",").map((each) => each.trim().split(/\s+as\s+/)[0] ?? "");
  return words.filter((name) => name !== "");
}

function fileName(specifier: string): string {
  return specifier.replace(/\.js$/, "").replaceAll(/[^A-Za-z0-9-]+/g, "_");
}

async function bundle(
  root: string,
  dist: string,
  found: ReadonlyMap<string, Imported>,
  isOurs: (specifier: string) => boolean,
): Promise<void> {
  const entries = new Map<string, string>();
  for (const [specifier, { names, isWhole }] of found) {
    const quoted = JSON.stringify(specifier);
    // What is imported when it is needed is asked for whatever it has.
    const all = isWhole ? Object.keys((await import(specifier)) as object) : [];
    entries.set(specifier, `export { ${[...new Set([...names, ...all])].join(", ")} } from ${quoted};\n`);
  }
  const prefix = "\0vendor:";
  const made = await rolldown({
    cwd: root,
    input: Object.fromEntries([...entries.keys()].map((specifier) => [fileName(specifier), prefix + specifier])),
    platform: "node",
    external: (id) => isOurs(id) && !id.startsWith("."),
    resolve: { conditionNames: ["node", "import", "default"] },
    plugins: [
      {
        name: "vendor",
        async resolveId(id, importer) {
          if (id.startsWith(prefix)) return id;
          if (importer?.startsWith(prefix) !== true) return undefined;
          return await this.resolve(id, join(root, "package.json"), { skipSelf: true });
        },
        load: (id) => (id.startsWith(prefix) ? entries.get(id.slice(prefix.length)) : undefined),
      },
    ],
  });
  const { output } = await made.write({
    dir: join(dist, "vendor"),
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "[name]-[hash].js",
  });
  await made.close();
  writeLicences(
    join(dist, "vendor"),
    output.flatMap((chunk) => (chunk.type === "chunk" ? chunk.moduleIds : [])),
  );
}
