import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { ConfigError } from "../config-error.ts";
import { type LoadConfigOptions, loadConfig } from "../load-config.ts";
import { blankJsonComments } from "./blank-json-comments.ts";

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(path.join(tmpdir(), "atoll-config-"));
});
afterEach(async () => {
  await rm(cwd, { recursive: true });
});

async function load(text: string, options: LoadConfigOptions = {}) {
  await writeFile(path.join(cwd, "atoll.yaml"), text);
  return loadConfig({ cwd, env: {}, terminal: false, ...options });
}

async function problemsOf(text: string): Promise<ConfigError["problems"]> {
  try {
    await load(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

describe("a file as editors write it", () => {
  const options = () => ({ cwd, env: { ATOLL_CONFIG: "some" }, terminal: false });
  const text = "agents:\n  main:\n    instructions: |\n      one\n      two\n    maxSteps: 7\n";
  const json = '{"agents": {"main": {"maxSteps": 7, "instructions": "one\\ntwo\\n"}}}';

  it.each([
    ["a byte order mark", Buffer.from(`\ufeff${text}`)],
    ["CRLF", Buffer.from(text.replaceAll("\n", "\r\n"))],
    ["CR alone", Buffer.from(text.replaceAll("\n", "\r"))],
    ["UTF-16 with its mark", Buffer.from(`\ufeff${text}`, "utf16le")],
    ["UTF-16 without one", Buffer.from(json, "utf16le")],
    ["UTF-16 of big end", Buffer.from(`\ufeff${text}`, "utf16le").swap16()],
    ["UTF-16 of big end without a mark", Buffer.from(json, "utf16le").swap16()],
    ["a mark before JSON with CRLF", Buffer.from(`\ufeff${json.replaceAll(", ", ",\r\n\t")}\r\n`)],
    ["comments and trailing commas", Buffer.from(`// a\n/* "b" */ ${json.slice(0, -3)}, }, /* c\n */ }, // d: {\n}`)],
    ["a comment behind everything", Buffer.from(`${json.replace('": 7', '": 7 /* was 8 */')} // "end`)],
    [
      "anchors and merge keys",
      Buffer.from(
        'agents:\n  b: &base {maxSteps: 7, instructions: x}\n  main:\n    <<: *base\n    instructions: "one\\ntwo\\n"\n',
      ),
    ],
    [
      "a list of merges",
      Buffer.from(
        'agents:\n  a: &a {maxSteps: 7}\n  b: &b {maxSteps: 8, instructions: "one\\ntwo\\n"}\n  main: {<<: [*a, *b]}\n',
      ),
    ],
  ])(`is taken with %s ${verifies("FC5")}`, async (_, bytes) => {
    await writeFile(path.join(cwd, "some"), bytes);
    expect(loadConfig(options()).agents.get("main")).toMatchObject({ maxSteps: 7, instructions: "one\ntwo\n" });
  });

  it(`keeps what looks like a comment where it is text ${verifies("FC5")}`, async () => {
    const urls = '{"models": {"anthropic": {"baseUrl": "http://h/a//b" /* c */, "models": ["x /* y */", "// z"]}}}';
    const given = (await load(urls)).models.anthropic;
    expect(given).toMatchObject({ baseUrl: "http://h/a//b", models: ["x /* y */", "// z"] });
    expect((await load("{access: {publicUrl: http://h/x}, listen: 127.0.0.1:1}")).access.publicUrl).toBe("http://h/x");
    expect((await load("access:\n  publicUrl: http://h/x//y # {\n")).access.publicUrl).toBe("http://h/x//y");
  });

  it(`names lines where they are behind comments ${verifies("FC5")}`, async () => {
    const [problem] = await problemsOf('{\n// one\n/* two\nthree */ "lisen": 1,\n"data": "x"}');
    expect(problem).toMatchObject({ path: "lisen", source: { line: 4, column: 10 } });
  });

  it(`is read once, whatever its comments ${verifies("FC5", "F4")}`, async () => {
    const started = performance.now();
    for (const text of [
      "/* */ ".repeat(200_000),
      "{ /* ".repeat(200_000),
      `{"a": "${"/".repeat(900_000)}`,
      "//\n".repeat(300_000),
    ]) {
      blankJsonComments(text);
    }
    expect(blankJsonComments('{"a": 1} /* never closed')).toBe(`{"a": 1} ${" ".repeat(15)}`);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it(`does not grow by merging ${verifies("FC5", "F4")}`, async () => {
    const keys = Array.from({ length: 2_000 }, (_, index) => `k${index}: 1`).join(", ");
    const merges = Array.from({ length: 50 }, (_, index) => `  s${index}: {<<: *big}`).join("\n");
    const problems = await problemsOf(`mcpServers:\n  big: &big {${keys}}\n${merges}\n`);
    expect(problems[0]).toMatchObject({ expected: "at most 10000 in all" });
    const tower = Array.from(
      { length: 40 },
      (_, index) => `  l${index + 1}: &l${index + 1} {<<: [*l${index}, *l${index}], k${index}: 1}`,
    );
    const started = performance.now();
    await load(`mcpServers:\n  l0: &l0 {command: x}\n${tower.join("\n")}\n`);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe("a path that begins with ~", () => {
  it.each([
    ["data: ~/agents", "dataDir", "agents"],
    ["data: '~'", "dataDir", ""],
    ["workspace: ~/a/../b", "workspaceDir", "b"],
  ] as const)(`is in the home folder: %s ${verifies("FC4")}`, async (text, key, rest) => {
    expect((await load(text, { env: { HOME: "/home/me" } }))[key]).toBe(path.join("/home/me", rest).replace(/\/$/, ""));
  });

  it(`is so for flags, variables and the file's own name ${verifies("FC4")}`, async () => {
    const env = { HOME: cwd, ATOLL_DATA: "~/d" };
    await writeFile(path.join(cwd, "here.yaml"), "tls: {certFile: ~/c.pem, keyFile: k.pem}");
    const config = loadConfig({ cwd: "/", env, flags: { config: "~/here.yaml" } });
    expect(config.dataDir).toBe(path.join(cwd, "d"));
    expect(config.tls).toEqual({ certFile: path.join(cwd, "c.pem"), keyFile: "/k.pem" });
    expect(() => loadConfig({ cwd, env, flags: { data: "~them/d" } })).toThrow(/--data: data: .*another user's home/);
  });
});
