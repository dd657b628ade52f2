// Builds dist/, what an installed package runs: `npm pack` does it before it packs. Node strips types only outside
// node_modules, so what is installed has to be JavaScript. dist/ keeps the shape of the repository.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./source-files.ts";
import { vendorPackages } from "./vendor-packages.ts";

interface PackageFile {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
}

function compile(): void {
  const tsc = join(repository, "node_modules/.bin/tsc");
  const { status, error } = spawnSync(tsc, ["-p", "tsconfig.build.json"], { cwd: repository, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) throw new Error("tsc failed; nothing usable was built");
}

function readPackage(): PackageFile {
  return JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as PackageFile;
}

/** What the package promises to programs, patterns left out. */
function readExports(): string[] {
  const { exports } = readPackage();
  const paths = Object.values(exports).flatMap((entry) => (typeof entry === "string" ? [entry] : Object.values(entry)));
  return paths.filter((path) => !path.includes("*"));
}

rmSync(join(repository, "dist"), { recursive: true, force: true });
compile();
await vendorPackages(repository, join(repository, "dist"), Object.keys(readPackage().dependencies));
for (const path of ["dist/services/main.js", ...readExports()]) {
  if (!existsSync(join(repository, path))) throw new Error(`the build holds no ${path}`);
}
if (!existsSync(join(repository, "web/dist/index.html"))) {
  console.log("web/dist is not built, so a package of this serves no page; npm run build:web builds it");
}
