/**
 * Builds dist/program/, all of `atoll` in a few files: `npm start` and `npm test` run it, and an installed package. Does
 * nothing when it is newer than its sources. As a program: the folder of the tree, default this one.
 */
import { randomUUID } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { SourceMapPayload } from "node:module";
import { dirname, join, resolve } from "node:path";
import { freshProgramIn, programIn } from "../../bin/program.js";
import { escapeWide } from "./escape-wide.ts";
import { repository } from "./source-files.ts";
import { writeLicences } from "./write-licences.ts";

/**
 * `import "node:http"` reads each export, also those (WebSocket, CloseEvent, MessageEvent) that load all of fetch when they are read:
 * a tenth of a start. Nobody here uses them.
 */
const httpWithoutFetch = {
  name: "http-without-fetch",
  resolveId: (id: string): string | undefined => (/^(?:node:)?http$/.test(id) ? "\0http-without-fetch" : undefined),
  load(id: string): string | undefined {
    if (id !== "\0http-without-fetch") return undefined;
    const names = Object.entries(Object.getOwnPropertyDescriptors(http)).flatMap(([name, { get }]) =>
      get ? [] : [name],
    );
    const lines = names.map((name) => `export const ${name} = http.${name};`);
    return ['const http = process.getBuiltinModule("node:http");', "export default http;", ...lines].join("\n");
  },
};

export async function buildProgram(root = repository): Promise<void> {
  if (freshProgramIn(root) !== undefined) return;
  // Only now: a program that is fresh does not wait for it.
  const bundler = await import("rolldown").catch(() => undefined);
  if (bundler === undefined) {
    // Without it, what the program is made of is not here either.
    process.stderr.write(
      "The program is not built, and what builds it is not installed: run `npm ci`, without --omit=dev.\n",
    );
    process.exitCode = 1;
    return;
  }
  const { rolldown } = bundler;
  const bundle = await rolldown({
    input: {
      main: join(root, "services/main.ts"),
      // A thread, which is started by the path of its file.
      "check-thread": join(root, "services/toolrouter/schema/checking/check-thread.ts"),
      // The tool server of the default configuration, a process of its own.
      "server-filesystem": join(root, "node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"),
    },
    platform: "node",
    plugins: [httpWithoutFetch],
    resolve: { conditionNames: ["node", "import", "default"] },
  });
  const folder = dirname(programIn(root));
  const fresh = `${folder}.${randomUUID()}`;
  const { output } = await bundle.write({
    dir: fresh,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "[name]-[hash].js",
    sourcemap: true,
    // V8 keeps the text of all modules in memory. Names stay: stacks tell of them.
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
    comments: false,
  });
  await bundle.close();
  writeLicences(
    fresh,
    output.flatMap((chunk) => (chunk.type === "chunk" ? chunk.moduleIds : [])),
  );
  for (const file of readdirSync(fresh).filter((each) => each.endsWith(".js"))) {
    if (existsSync(join(fresh, `${file}.map`))) shrink(join(fresh, file));
  }
  // Nobody finds half of it.
  rmSync(folder, { recursive: true, force: true });
  renameSync(fresh, folder);
}

/** Stack traces need where a line comes from, not what it says, which is two thirds of a map. */
function shrink(program: string): void {
  const { sourcesContent: _sources, ...map } = JSON.parse(readFileSync(`${program}.map`, "utf8")) as SourceMapPayload;
  const { code, mappings } = escapeWide({ code: readFileSync(program, "utf8"), mappings: map.mappings });
  writeFileSync(program, code);
  writeFileSync(`${program}.map`, JSON.stringify({ ...map, mappings }));
}

/** Vitest calls it before the first test. */
export default (): Promise<void> => buildProgram();

if (import.meta.main) await buildProgram(resolve(process.argv[2] ?? repository));
