// The walls of the house: which layer may import which (L1), and through which door a library comes in (L8).
// Nothing imports itself by way of others, by a type neither; an editor hears that of Biome (noImportCycles).
import { posix } from "node:path";
import { describe, expect, test } from "vitest";
import { verifies } from "./requirements.ts";
import { findCycles, importsOf } from "./support/import-graph.ts";
import { isTestFile, readSourceFiles, type SourceFile } from "./support/source-files.ts";

const services = ["gateway", "session", "agent", "toolrouter"].map((name) => `services/${name}/`);
const kernel = "services/kernel/";
const everyService = ["services/", "gen/", "web/client/"];

/** Layer → what it may import beside itself. The first entry that a path begins with is its layer. */
const layers: readonly (readonly [layer: string, mayImport: readonly string[]])[] = [
  ["gen/", []],
  [kernel, ["gen/"]],
  ...services.map((service) => [service, [kernel, "gen/"]] as const),
  ["services/cli/", everyService],
  ["services/mesh/", everyService],
  ["services/main.ts", everyService],
  ["web/", ["gen/"]],
  ["proto/", []],
  ["test/", ["services/", "gen/", "web/", "proto/", "bin/"]],
];

/** Library → where it may be imported. Tests may import any. */
const doors: Readonly<Record<string, readonly string[]>> = {
  "@anthropic-ai/sdk": ["services/agent/models/anthropic"],
  "@bufbuild/protovalidate": ["services/kernel/rpc/", "gen/", "proto/"],
  "@connectrpc/connect-node": ["services/kernel/rpc/"],
  "@connectrpc/connect-web": ["web/"],
  "@modelcontextprotocol/sdk": ["services/toolrouter/mcp"],
  "@vitejs/plugin-react": ["web/vite.config.ts"],
  ajv: ["services/toolrouter/schema/checking/compile-schema.ts"],
  jose: ["services/kernel/auth/"],
  "decode-named-character-reference": ["web/src/markdown/"],
  marked: ["web/src/markdown/"],
  // The kernel opens the files; the two drivers beside it prepare statements on what it opened.
  "node:sqlite": [
    "services/kernel/store/sqlite/",
    "services/session/store/sqlite/",
    "services/toolrouter/ledger/sqlite/",
  ],
  pino: ["services/kernel/log.ts"],
  "pino-pretty": ["services/kernel/log.ts"],
  re2js: ["services/toolrouter/schema/linear-pattern.ts"],
  react: ["web/"],
  "react-dom": ["web/"],
  vite: ["web/vite.config.ts"],
  yaml: ["services/kernel/config/"],
  // The contract's own runtime: what generated code and its callers are made of.
  "@bufbuild/protobuf": [""],
  "@connectrpc/connect": [""],
};

function findViolations({ path, text }: SourceFile): string[] {
  const isTest = isTestFile(path);
  const [layer, others] = layers.find(([prefix]) => path.startsWith(prefix)) ?? [];
  if (layer === undefined || others === undefined) return [`${path} stands in no layer`];
  const mayImport = [layer, ...others, ...(isTest ? ["test/"] : [])];
  return importsOf(text).flatMap((specifier) => {
    if (specifier.startsWith(".")) {
      const target = posix.join(posix.dirname(path), specifier);
      const isAllowed = mayImport.some((prefix) => target.startsWith(prefix)) && (isTest || !isTestFile(target));
      return isAllowed ? [] : [`${path} imports ${target}`];
    }
    const library = /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
    const door = doors[library];
    if (isTest || (library.startsWith("node:") && !door)) return [];
    if (!door) return [`${path} imports ${library}, which has no door`];
    return door.some((prefix) => path.startsWith(prefix)) ? [] : [`${path} imports ${library} past its door`];
  });
}

describe("architecture", () => {
  // This file holds imports that are wrong on purpose.
  const isOther = (file: SourceFile) => file.path !== "test/architecture.test.ts";
  const files = readSourceFiles("gen", "services", "web", "proto", "test").filter(isOther);

  test(`no file reaches over a wall or past a door ${verifies("L1", "L8")}`, () => {
    expect(files.length).toBeGreaterThan(30);
    expect(files.flatMap(findViolations)).toEqual([]);
  });

  test("no file imports itself by way of others, types included", () => {
    expect(findCycles(files)).toEqual([]);
  });

  test.each([
    ["a value and a type", { "a/b.ts": 'import { c } from "./c.ts";', "a/c.ts": 'import type { B } from "./b.ts";' }],
    ["a dynamic import", { "a/b.ts": 'const c = await import("../c.ts");', "c.ts": 'export { b } from "./a/b.ts";' }],
    ["itself", { "a/b.ts": 'import {\n  b,\n} from "./b.ts";' }],
  ])("finds a circle of %s", (_, texts) => {
    const circle = Object.entries(texts).map(([path, text]) => ({ path, text }));
    const outside = { path: "a/d.ts", text: 'import { b } from "./b.ts";' };
    expect(findCycles([outside, ...circle])).toEqual([Object.keys(texts)]);
  });

  test.each([
    ["services/agent/loop/run-loop.ts", 'import { append } from "../../session/append-events.ts";'],
    ["services/agent/loop/run-loop.test.ts", 'import { append } from "../../session/append-events.ts";'],
    ["services/kernel/log.ts", 'import type { Mesh } from "../mesh/start-mesh.ts";'],
    ["services/session/watch.ts", 'import {\n  fake,\n  real,\n} from "../../test/support/fake.ts";'],
    ["services/session/watch.ts", 'import { log } from "../kernel/store/log.fixture.ts";'],
    ["services/session/watch.ts", 'export * from "../gateway/chat.ts";'],
    ["services/session/watch.ts", 'const { chat } = await import("../gateway/chat.ts");'],
    ["services/cli/commands/chat.ts", 'import { App } from "../../../web/app.tsx";'],
    ["web/client/fold.ts", 'import { createId } from "../../services/kernel/id.ts";'],
    ["gen/atoll/a_pb.ts", 'import "../../services/main.ts";'],
    ["services/stray/lost.ts", 'import "node:fs";'],
    ["services/agent/model.ts", 'import Anthropic from "@anthropic-ai/sdk";'],
    ["services/session/store.ts", 'import { DatabaseSync } from "node:sqlite";'],
    ["services/gateway/serve.ts", 'import { a } from "@connectrpc/connect-node/deep/path";'],
    ["services/gateway/serve.ts", "import leftPad from 'left-pad';"],
  ])("catches %s with %j", (path, text) => {
    expect(findViolations({ path, text })).toHaveLength(1);
  });

  test.each([
    ["services/agent/loop/run-loop.ts", 'import { Run } from "../../../gen/atoll/session/v1/run_pb.ts";'],
    ["services/session/watch.ts", 'import { createLog } from "../kernel/log.ts";\nimport { on } from "node:events";'],
    ["services/kernel/store/sqlite/open.test.ts", 'import { suite } from "../../../../test/contract/store-suite.ts";'],
    ["services/kernel/store/sqlite/open.ts", 'import { DatabaseSync } from "node:sqlite";'],
    ["services/cli/commands/chat.ts", 'import { subscribe } from "../../../web/client/subscribe.ts";'],
    ["services/mesh/start-mesh.ts", 'import { register } from "../session/register.ts";'],
    ["services/kernel/log.test.ts", 'import { Client } from "@connectrpc/connect-node";'],
  ])("permits %s with %j", (path, text) => {
    expect(findViolations({ path, text })).toEqual([]);
  });
});
