/**
 * README.md's commands that make and install the package, run as they are written: packed in a copy of the repository, and
 * installed in an empty folder, from the registry. What is put in another's place: `/path/to`.
 */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { repository } from "../support/source-files.ts";
import { command, readmeBlocks } from "./readme-commands.fixture.ts";
import { copyCheckout, makeFolder, runShell, startShell } from "./shell.fixture.ts";

/** npm installs and builds, and the machine may be busy. */
const timeout = 1_200_000;

describe("README.md", { timeout }, () => {
  const checkout = makeFolder();

  // What `npm ci` installs is there already: readme.test.ts runs that, and a copy of it all takes longer than the packing.
  beforeAll(() => {
    copyCheckout(checkout.path);
    symlinkSync(join(repository, "node_modules"), join(checkout.path, "node_modules"));
  }, timeout);

  afterAll(() => checkout.remove(), timeout);

  test("the package works in an empty folder, from its commands and from a program", async () => {
    const packed = await runShell(command("npm pack"), checkout.path);
    expect([packed.code, packed.shown]).toEqual([0, expect.any(String)]);
    expect(readdirSync(checkout.path).filter((name) => name.endsWith(".tgz"))).toEqual(["atoll-mesh-0.1.0.tgz"]);
    const empty = makeFolder();
    const typeThere = (text: string) => runShell(text.replaceAll("/path/to", checkout.path), empty.path);
    try {
      // Nothing is installed here yet: npx must refuse, not fetch what others have named so.
      expect(
        (await runShell("npx --no atoll chat hi", empty.path, { npm_config_cache: join(empty.path, "cache") })).code,
      ).not.toBe(0);
      expect(readdirSync(empty.path).filter((name) => name !== "cache")).toEqual([]);
      expect(await runShell("ls cache/_npx", empty.path)).toMatchObject({ output: "" });

      const installed = await typeThere(command("npm install /path/to/"));
      expect([installed.code, installed.shown]).toEqual([0, expect.not.stringContaining("EBADENGINE")]);
      const mesh = startShell("npx --no atoll up --listen 127.0.0.1:0 --data 'other data'", empty.path);
      try {
        await mesh.until(/Atoll is ready at [\s\S]*SendMessage/);
        const url = /ready at (\S+)/.exec(mesh.shown())?.[1] ?? "";
        const printed = /^ {2}chat {9}(.*)$/m.exec(mesh.shown())?.[1] ?? "the mesh printed no chat";
        expect(await typeThere(printed)).toMatchObject({ code: 0 });
        expect(await (await fetch(url)).text()).toContain("<script");
      } finally {
        await mesh.interrupt();
      }
      await expectProgramsToRun(empty.path);
    } finally {
      empty.remove();
    }
  });
});

/** The README's own program, and one that uses what else the package has; both checked by tsc and run. */
async function expectProgramsToRun(folder: string): Promise<void> {
  const programs = readmeBlocks.filter(({ language }) => language === "ts");
  expect(programs).toHaveLength(1);
  const source = join(folder, "source");
  mkdirSync(source);
  writeFileSync(join(source, "readme.ts"), programs[0]?.text ?? "");
  writeFileSync(join(source, "embed.ts"), readFileSync(join(import.meta.dirname, "embedding-program.txt"), "utf8"));
  const options = {
    ...{ module: "nodenext", target: "es2024", lib: ["es2025", "esnext.disposable", "dom"], strict: true },
    ...{ skipLibCheck: false, types: ["node"], typeRoots: [join(repository, "node_modules/@types")] },
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["source"] }));
  writeFileSync(join(source, "package.json"), '{"type":"module"}');
  const compiled = await runShell(`${join(repository, "node_modules/.bin/tsc")} -p tsconfig.json`, folder);
  expect([compiled.code, compiled.shown]).toEqual([0, ""]);
  expect((await runShell("node source/readme.js", folder)).output).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/m);
  const embedded = await runShell("node source/embed.js", folder);
  expect([embedded.code, embedded.output]).toEqual([0, "message,run Hello from the script.\n"]);
}
