/**
 * Reads a tree as the configuration's Protobuf message, walking the message's descriptor.
 *
 * Keeps L6: names, types and bounds come from the contract alone. Every problem is reported, not only the first. A key
 * without a value counts as not given.
 */
import { create, type DescField, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type MeshConfig, MeshConfigSchema } from "../../../../gen/atoll/config/v1/mesh_config_pb.ts";
import type { ConfigSource, ReportProblem } from "../config-error.ts";
import { nearMiss } from "../near-miss.ts";
import { describeWays } from "../settings.ts";
import { type ConfigEntry, type ConfigMap, type ConfigNode, keyPath } from "./config-node.ts";
import { type FieldRules, rulesOf } from "./field-rules.ts";
import { describeFound, readScalar } from "./read-scalar.ts";

export interface ConfigReading {
  readonly message: MeshConfig;
  /** Where the value of a path was written; "default" when nowhere. */
  sourceOf(path: string): ConfigSource;
}

/** Fields whose values are secrets. */
const secretFields = new Set([
  "atoll.config.v1.AnthropicConfig.api_key",
  "atoll.config.v1.McpServer.env",
  "atoll.config.v1.McpServer.headers",
]);

/** Names that would change what an object is instead of what it holds. */
const dangerousKeys = new Set(["__proto__", "constructor", "prototype"]);

/** Names that no environment and no header can have. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
const unusableKey = /^$|[\u0000-\u001f\u007f=]/;

/** The keys of the whole configuration but `mcpServers`, with the kind of value that each takes. */
export const ownKeyKinds: ReadonlyMap<string, ConfigNode["kind"]> = new Map(
  MeshConfigSchema.fields
    .filter(({ jsonName }) => jsonName !== "mcpServers")
    .map(({ jsonName, fieldKind }) => [jsonName, fieldKind === "scalar" ? "scalar" : "map"]),
);

/** Reads the tree; what is wrong is reported and left out of the message. */
export function readConfig(tree: ConfigMap, report: ReportProblem): ConfigReading {
  const sources = new Map<string, ConfigSource>();
  const withWays: ReportProblem = (problem) => {
    const hint = [problem.hint, describeWays(problem.path)].filter((part) => part !== undefined).join(" ");
    report(hint === "" ? problem : { ...problem, hint });
  };
  const reflected = reflect(MeshConfigSchema, create(MeshConfigSchema));
  readFields(reflected, tree, "", { sources, report: withWays });
  return {
    message: reflected.message as MeshConfig,
    sourceOf: (path) => sources.get(path) ?? { from: "default" },
  };
}

/** Reads a part of the contract on its own; `path` is where it stands. What is wrong is reported and left out. */
export function readPart<Desc extends DescMessage>(
  desc: Desc,
  map: ConfigMap,
  path: string,
  report: ReportProblem,
): MessageShape<Desc> {
  return readMessage(desc, map, path, { sources: new Map(), report }).message as MessageShape<Desc>;
}

interface Walk {
  readonly sources: Map<string, ConfigSource>;
  readonly report: ReportProblem;
}

function readFields(into: ReflectMessage, map: ConfigMap, path: string, walk: Walk): void {
  const names = into.desc.fields.map((field) => field.jsonName);
  for (const entry of map.entries) {
    const here = keyPath(path, entry.key);
    const field = into.desc.fields.find(({ jsonName }) => jsonName === entry.key);
    if (field === undefined) {
      const meant = nearMiss(entry.key, names);
      walk.report({
        path: here,
        found: "a key that does not exist",
        expected: `one of ${names.join(", ")}`,
        ...(meant === undefined ? {} : { hint: `Did you mean \`${meant}\`?` }),
        source: entry.source,
      });
    } else if (entry.value.kind !== "scalar" || entry.value.value !== null) {
      walk.sources.set(here, entry.value.source);
      readField(into, field, entry.value, here, walk);
    }
  }
}

function readField(into: ReflectMessage, field: DescField, node: ConfigNode, path: string, walk: Walk): void {
  const secret = secretFields.has(`${field.parent.typeName}.${field.name}`);
  const rules = rulesOf(field);
  switch (field.fieldKind) {
    case "message":
      if (node.kind === "map") into.set(field, readMessage(field.message, node, path, walk));
      else reportKind(node, "a map", path, secret, walk);
      return;
    case "list":
      if (node.kind === "list") readList(into, field, node.items, rules, path, walk);
      else reportKind(node, "a list", path, secret, walk);
      return;
    case "map":
      if (node.kind === "map") readMap(into, field, node.entries, rules, path, walk);
      else reportKind(node, "a map", path, secret, walk);
      return;
    case "scalar": {
      const reading = readScalar(field.scalar, node, rules, field, secret);
      if (reading.ok) into.set(field, reading.value);
      else walk.report({ path, ...withoutOk(reading), source: node.source });
      return;
    }
    case "enum":
      throw new TypeError(`${String(field)}: the configuration can't read an enum`);
  }
}

function readMessage(desc: DescMessage, node: ConfigMap, path: string, walk: Walk): ReflectMessage {
  const reflected = reflect(desc, create(desc));
  readFields(reflected, node, path, walk);
  return reflected;
}

function readList(
  into: ReflectMessage,
  field: DescField & { fieldKind: "list" },
  items: readonly ConfigNode[],
  rules: FieldRules,
  path: string,
  walk: Walk,
): void {
  if (field.listKind !== "scalar") throw new TypeError(`${String(field)}: the configuration reads lists of text only`);
  const source = walk.sources.get(path) ?? { from: "default" };
  if (rules.maxItems !== undefined && items.length > rules.maxItems) {
    walk.report({ path, found: `${items.length} items`, expected: `at most ${rules.maxItems}`, source });
    return;
  }
  const list = into.get(field);
  for (const [index, item] of items.entries()) {
    const reading = readScalar(field.scalar, item, {}, field, false);
    walk.sources.set(`${path}[${index}]`, item.source);
    if (reading.ok) list.add(reading.value);
    else walk.report({ path: `${path}[${index}]`, ...withoutOk(reading), source: item.source });
  }
}

function readMap(
  into: ReflectMessage,
  field: DescField & { fieldKind: "map" },
  entries: readonly ConfigEntry[],
  rules: FieldRules,
  path: string,
  walk: Walk,
): void {
  const keyPattern = new RegExp(rules.keys?.pattern ?? "", "u");
  const secret = secretFields.has(`${field.parent.typeName}.${field.name}`);
  const map = into.get(field);
  if (rules.maxItems !== undefined && entries.length > rules.maxItems) {
    const source = walk.sources.get(path) ?? { from: "default" };
    walk.report({ path, found: `${entries.length} entries`, expected: `at most ${rules.maxItems}`, source });
    return;
  }
  for (const { key, source, value } of entries) {
    const here = keyPath(path, key);
    if (dangerousKeys.has(key) || !keyPattern.test(key) || unusableKey.test(key)) {
      const pattern = rules.keys?.pattern;
      const expected =
        pattern === undefined || dangerousKeys.has(key) ? "another name" : `a name that matches ${pattern}`;
      walk.report({ path: here, found: "a name that can't be used", expected, source });
      continue;
    }
    walk.sources.set(here, value.source);
    if (field.mapKind === "message") {
      const empty = value.kind === "scalar" && value.value === null;
      const node: ConfigNode = empty ? { kind: "map", source, entries: [] } : value;
      if (node.kind === "map") map.set(key, readMessage(field.message, node, here, walk));
      else reportKind(value, "a map", here, secret, walk);
    } else if (field.mapKind === "scalar") {
      const reading = readScalar(field.scalar, value, rules.values ?? {}, field, secret);
      if (reading.ok) map.set(key, reading.value);
      else walk.report({ path: here, ...withoutOk(reading), source: value.source });
    } else throw new TypeError(`${String(field)}: the configuration can't read an enum`);
  }
}

function reportKind(node: ConfigNode, expected: string, path: string, secret: boolean, walk: Walk): void {
  walk.report({ path, found: describeFound(node, secret), expected, source: node.source });
}

function withoutOk({ ok: _, ...rest }: { readonly ok: false; found: string; expected: string; hint?: string }) {
  return rest;
}
