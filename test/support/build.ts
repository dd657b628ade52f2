// Builds dist/, the package that others install: `npm run build`, then `npm install ./dist` or `npm pack ./dist`.
// Node strips types only outside node_modules, so what is installed has to be JavaScript. dist/ keeps the shape of the
// repository: what finds a file beside itself finds it there too.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { repository } from "./source-files.ts";

const dist = join(repository, "dist");

function compile(): void {
  const tsc = join(repository, "node_modules/.bin/tsc");
  const { status, error } = spawnSync(tsc, ["-p", "tsconfig.build.json"], { cwd: repository, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) throw new Error("tsc failed; nothing usable was built");
}

/** Copies a file or folder to the same place in dist/. TypeScript stays behind: its JavaScript is there. */
function copy(path: string, accept: (source: string) => boolean = () => true): void {
  cpSync(join(repository, path), join(dist, path), {
    recursive: true,
    filter: (source) => statSync(source).isDirectory() || (extname(source) !== ".ts" && accept(source)),
  });
}

/** What an installed package shares with the repository; scripts and development dependencies stay behind. */
const keptKeys = [
  "name",
  "version",
  "description",
  "license",
  "type",
  "engines",
  "dependencies",
  "optionalDependencies",
] as const;

function describePackage(): object {
  const source = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as Record<string, unknown>;
  return {
    ...Object.fromEntries(keptKeys.map((key) => [key, source[key]])),
    bin: { atoll: "services/main.js" },
    exports: {
      ".": { types: "./services/mesh.d.ts", default: "./services/mesh.js" },
      "./gen/*.js": { types: "./gen/*.d.ts", default: "./gen/*.js" },
      "./client/*.js": { types: "./web/client/*.d.ts", default: "./web/client/*.js" },
      "./proto/*": "./proto/*",
      "./package.json": "./package.json",
    },
  };
}

rmSync(dist, { recursive: true, force: true });
compile();
copy("services", (source) => extname(source) !== ".md");
copy("proto");
copy("gen/proto");
for (const page of ["LICENSE", "README.md"]) {
  if (existsSync(join(repository, page))) copy(page);
}
if (existsSync(join(repository, "web/dist/index.html"))) copy("web/dist");
else console.log("web/dist is not built, so this package serves no page; npm run build:web builds it");
writeFileSync(join(dist, "package.json"), `${JSON.stringify(describePackage(), undefined, 2)}\n`);
for (const entry of ["services/main.js", "services/mesh.js"]) {
  if (!existsSync(join(dist, entry))) throw new Error(`the build holds no ${entry}`);
}
chmodSync(join(dist, "services/main.js"), 0o755);
console.log(`built ${dist}`);
