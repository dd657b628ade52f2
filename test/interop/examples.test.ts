// The example clients do what their recipe says: generated with its commands in an empty folder, and run.
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { runProgram } from "./client-program.ts";
import { meshOfThisFile } from "./conversation-suite.ts";
import { question } from "./hold-conversation.ts";
import { generatePythonStubs, python } from "./python-stubs.ts";

const root = resolve(import.meta.dirname, "../..");
const examples = join(root, "examples/clients");
const folder = mkdtempSync(join(tmpdir(), "atoll-examples-"));
const theMesh = meshOfThisFile();
/** Generating is the most of it, and other tests run beside it. */
const testTimeoutMs = 90_000;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function envOf(): Record<string, string> {
  return { ATOLL_ADDRESS: new URL(theMesh().url).host, ATOLL_TOKEN: theMesh().token };
}

function expectAnswer(output: string): void {
  expect(output).toContain("[calls filesystem.list_directory]");
  expect(output).toContain("[calls filesystem.read_text_file]");
  expect(output).toContain("Buy a boat.");
  expect(output).toMatch(/\[RUN_STATUS_COMPLETED\]/);
  expect(output).toMatch(/session ses_\w+, \d+ events$/);
}

describe("example clients", () => {
  test("Python", { timeout: testTimeoutMs }, async () => {
    const stubs = join(folder, "python");
    await generatePythonStubs(stubs);
    const env = { ...envOf(), PYTHONPATH: stubs };
    expectAnswer(await runProgram(python, [join(examples, "python/client.py"), question], { env }));
  });

  test("TypeScript", { timeout: testTimeoutMs }, async () => {
    const copy = join(folder, "typescript");
    for (const file of ["client.ts", "package.json"]) {
      cpSync(join(examples, "typescript", file), join(copy, file));
    }
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    const buf = join(root, "node_modules/.bin/buf");
    const template = "examples/clients/typescript/buf.gen.yaml";
    await runProgram(buf, ["generate", "--template", template, "-o", copy], { cwd: root });
    expectAnswer(await runProgram(process.execPath, ["client.ts", question], { cwd: copy, env: envOf() }));
  });
});
