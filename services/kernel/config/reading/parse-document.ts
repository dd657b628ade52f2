/**
 * The only door to `yaml`: the text of a configuration (YAML 1.2 or JSON) as a tree that knows its lines.
 *
 * Keeps: duplicate keys, tags, unknown or circular aliases and several documents in one file are problems, never
 * guesses; of a key that comes twice among MCP servers the last one counts, as it does where they are pasted from, and that
 * is a warning. L7: at most 100 aliases, which share their node instead of copying it, and at most 10 000 keys that merge
 * keys (`<<`) bring in, so that no document grows by being read; nesting ends at 32.
 */
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  LineCounter,
  type Node,
  parseDocument as parseYaml,
} from "yaml";
import type { ConfigSource, ReportProblem } from "../config-error.ts";
import type { ReportWarning } from "../config-warning.ts";
import { blankJsonComments } from "./blank-json-comments.ts";
import { type ConfigEntry, type ConfigMap, type ConfigNode, keyPath } from "./config-node.ts";

export interface ParseReports {
  readonly report: ReportProblem;
  readonly warn: ReportWarning;
  /** Whether a key of this path may come twice. */
  readonly isLenient: (path: string) => boolean;
}

const maxAliases = 100;
const maxNesting = 32;
const maxMergedKeys = 10_000;
/** One slip often makes a parser complain many times; the first few complaints name it. */
const maxSyntaxProblems = 3;

/** Reads the text of `file` (its name is for messages). Undefined when a problem was reported instead. */
export function parseDocument(text: string, file: string, reports: ParseReports): ConfigMap | undefined {
  const lineCounter = new LineCounter();
  const document = parseYaml(blankJsonComments(text), {
    lineCounter,
    prettyErrors: false,
    resolveKnownTags: false,
    stringKeys: true,
    uniqueKeys: false,
  });
  const sourceAt = (offset: number): ConfigSource => {
    const { line, col } = lineCounter.linePos(offset);
    return { from: "file", file, line, column: col };
  };
  const syntaxProblems = [...document.errors, ...document.warnings];
  for (const problem of syntaxProblems.slice(0, maxSyntaxProblems)) {
    const source = sourceAt(problem.pos[0]);
    reports.report({ path: "", found: problem.message, expected: "YAML 1.2 or JSON", source });
  }
  if (syntaxProblems.length > 0) return undefined;
  return readRoot(document, sourceAt, reports);
}

type SourceAt = (offset: number) => ConfigSource;

function readRoot(document: Document.Parsed, sourceAt: SourceAt, reports: ParseReports): ConfigMap | undefined {
  const { report } = reports;
  const version = document.directives.yaml;
  if (version.explicit === true && version.version !== "1.2") {
    report({ path: "", found: `%YAML ${version.version}`, expected: "YAML 1.2 or JSON", source: sourceAt(0) });
    return undefined;
  }
  if (document.contents === null) return { kind: "map", source: sourceAt(0), entries: [] };
  const root = createReader(sourceAt, reports)(document.contents, "", 1);
  if (root === undefined || root.kind === "map") return root;
  if (root.kind === "scalar" && root.value === null) return { kind: "map", source: root.source, entries: [] };
  const found = root.kind === "list" ? "a list" : "a single value";
  report({ path: "", found, expected: "a map of keys and values", source: root.source });
  return undefined;
}

type ReadNode = (node: Node, path: string, depth: number) => ConfigNode | undefined;

/** The reader keeps the anchors seen so far: an alias means the latest one before it. */
function createReader(sourceAt: SourceAt, { report, warn, isLenient }: ParseReports): ReadNode {
  const anchors = new Map<string, ConfigNode>();
  let aliases = 0;
  let mergedKeys = 0;

  const read: ReadNode = (node, path, depth) => {
    const source = sourceAt(node.range?.[0] ?? 0);
    if (isAlias(node)) {
      aliases += 1;
      const target = anchors.get(node.source);
      if (aliases > maxAliases) {
        if (aliases === maxAliases + 1)
          report({ path, found: "more aliases", expected: `at most ${maxAliases}`, source });
        return undefined;
      }
      if (target === undefined) report({ path, found: `*${node.source}`, expected: "an anchor before it", source });
      return target;
    }
    if (depth > maxNesting) {
      report({ path, found: "deeper nesting", expected: `at most ${maxNesting} levels`, source });
      return undefined;
    }
    const value = readContent(node, path, depth, source);
    if (value !== undefined && "anchor" in node && node.anchor !== undefined) anchors.set(node.anchor, value);
    return value;
  };

  const readContent = (node: Node, path: string, depth: number, source: ConfigSource): ConfigNode | undefined => {
    if (isMap<Node, Node | null>(node)) return { kind: "map", source, entries: readEntries(node.items, path, depth) };
    if (isCollection(node)) {
      const items = node.items.map((item, index) => read(item as Node, `${path}[${index}]`, depth + 1));
      return { kind: "list", source, items: items.filter((item) => item !== undefined) };
    }
    if (!isScalar(node)) throw new TypeError("yaml gave a node of an unknown kind");
    return scalarOf(node.value, node.source, source);
  };

  const readEntries = (
    pairs: readonly { readonly key: Node; readonly value: Node | null }[],
    path: string,
    depth: number,
  ): ConfigEntry[] => {
    const entries = new Map<string, ConfigEntry>();
    const merged: ConfigEntry[] = [];
    for (const { key: keyNode, value: valueNode } of pairs) {
      const key = isScalar(keyNode) ? String(keyNode.value) : "";
      const source = sourceAt(keyNode.range?.[0] ?? 0);
      const here = keyPath(path, key);
      const isMerge = key === "<<" && isScalar(keyNode) && keyNode.type === "PLAIN";
      const earlier = entries.get(key)?.source;
      if (earlier !== undefined && !isLenient(here)) {
        const line = earlier.from === "file" ? earlier.line : 0;
        report({ path: here, found: "the key a second time", expected: `it once (first on line ${line})`, source });
        continue;
      }
      if (earlier !== undefined) warn({ path: here, text: "the key comes twice; the last one is used", source });
      const value = valueNode === null ? scalarOf(null, "", source) : read(valueNode, here, depth + 1);
      if (value === undefined) continue;
      if (isMerge) merged.push(...readMerge(value, here, source));
      else entries.set(key, { key, source, value });
    }
    // What stands in the map itself wins, and of several merged maps the first one that has the key.
    for (const entry of merged) if (!entries.has(entry.key)) entries.set(entry.key, entry);
    return [...entries.values()];
  };

  const readMerge = (value: ConfigNode, path: string, source: ConfigSource): readonly ConfigEntry[] => {
    const maps = value.kind === "list" ? value.items : [value];
    const entries = maps.flatMap((map) => (map.kind === "map" ? map.entries : []));
    mergedKeys += entries.length;
    if (maps.some(({ kind }) => kind !== "map")) {
      report({ path, found: "a merge of what is no map", expected: "an alias of a map, or a list of them", source });
    } else if (mergedKeys > maxMergedKeys) {
      report({ path, found: "more merged keys", expected: `at most ${maxMergedKeys} in all`, source });
      return [];
    }
    return entries;
  };

  return read;
}

function scalarOf(value: unknown, written: string | undefined, source: ConfigSource): ConfigNode {
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
      return { kind: "scalar", source, value, written: written ?? String(value) };
    default:
      return { kind: "scalar", source, value: null, written: "null" };
  }
}
