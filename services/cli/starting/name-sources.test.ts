import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { repository } from "../../../test/support/source-files.ts";

const program = join(repository, "dist/program/main.js");

/** Runs a script in a process of its own; gives what it wrote to both. */
function run(script: string) {
  const source = join(import.meta.dirname, "name-sources.ts");
  const text = `import { nameSources } from ${JSON.stringify(source)};\n${script}`;
  return spawnSync(process.execPath, ["--input-type=module", "-e", text], { encoding: "utf8" });
}

/** The file of the built program that has a function. */
const errors =
  readdirSync(join(program, "..")).find((file) => /^errors-.*\.js$/.test(file)) ?? expect.fail("no errors");
const errorsUrl = pathToFileURL(join(program, "..", errors)).href;

/** Calls what the file exports until something throws. */
const failInside = `
  for (const each of Object.values(await import(${JSON.stringify(errorsUrl)}))) if (typeof each === "function") each(undefined, undefined, 1);`;

it("names our sources in a stack that is read, and in one that node writes itself", () => {
  const setUp = `nameSources(${JSON.stringify(errorsUrl)});`;
  const read = run(`${setUp} try {${failInside}} catch (error) { console.log(error.stack); }`);
  expect(read.stdout).toMatch(/^\w*Error.*: .+\n(?: {4}at .*\n)* {4}at .*services\/kernel\/.+\.ts:\d+:\d+/);
  expect(read.stdout).not.toContain(`${errors}:`);
  const uncaught = run(setUp + failInside);
  expect(uncaught.status).toBe(1);
  expect(uncaught.stderr).toMatch(/ {4}at .*services\/kernel\/.+\.ts:\d+:\d+/);
});

it("names them also where a folder's name is not what stands in its URL", () => {
  const folder = mkdtempSync(join(tmpdir(), "ein Ordner ü% "));
  try {
    cpSync(join(program, ".."), folder, { recursive: true });
    const url = pathToFileURL(join(folder, errors)).href;
    const { stdout } = run(`nameSources(${JSON.stringify(url)});
      try {${failInside.replaceAll(errorsUrl, url)}} catch (error) { console.log(error.stack); }`);
    expect(stdout).toMatch(/ {4}at .*services\/kernel\/.+\.ts:\d+:\d+/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it("leaves a stack as it is where there is no map, and an error that can't be told alone", () => {
  const { stdout, stderr } = run(`
    nameSources(import.meta.url + "/nowhere/main.js");
    console.log(new Error("plain").stack);
    const odd = {}; Error.captureStackTrace(odd); odd.toString = () => { throw new Error("no"); }; console.log(odd.stack);`);
  expect(stderr).toBe("");
  expect(stdout).toContain("Error: plain\n    at ");
});

it("is what the built program does", () => {
  const { stderr } = spawnSync(
    process.execPath,
    [
      "--import",
      `data:text/javascript,process.stdout.write=()=>{throw new Error("stdout is broken")}`,
      program,
      "help",
    ],
    { encoding: "utf8" },
  );
  expect(stderr).toMatch(/stdout is broken/);
  expect(stderr).toMatch(/services\/cli\/.+\.ts:\d+:\d+/);
  expect(stderr).not.toContain("dist/program/");
});
