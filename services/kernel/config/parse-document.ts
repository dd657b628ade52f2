/**
 * The only door to `yaml`: the text of a configuration (YAML 1.2 or JSON) as a tree that knows its lines.
 *
 * Keeps: duplicate keys, tags, unknown or circular aliases and several documents in one file are problems, never
 * guesses. L7: at most 100 aliases, which share their node instead of copying it, so that no document grows by being
 * read; nesting ends at 32.
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
import type { ConfigSource, ReportProblem } from "./config-error.ts";
import { type ConfigEntry, type ConfigMap, type ConfigNode, keyPath } from "./config-node.ts";

const maxAliases = 100;
const maxNesting = 32;
/** One slip often makes a parser complain many times; the first few complaints name it. */
const maxSyntaxProblems = 3;

/** Reads the text of `file` (its name is for messages). Undefined when a problem was reported instead. */
export function parseDocument(text: string, file: string, report: ReportProblem): ConfigMap | undefined {
  const lineCounter = new LineCounter();
  const document = parseYaml(text, {
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
    report({ path: "", found: problem.message, expected: "YAML 1.2 or JSON", source });
  }
  if (syntaxProblems.length > 0) return undefined;
  return readRoot(document, sourceAt, report);
}

type SourceAt = (offset: number) => ConfigSource;

function readRoot(document: Document.Parsed, sourceAt: SourceAt, report: ReportProblem): ConfigMap | undefined {
  const version = document.directives.yaml;
  if (version.explicit === true && version.version !== "1.2") {
    report({ path: "", found: `%YAML ${version.version}`, expected: "YAML 1.2 or JSON", source: sourceAt(0) });
    return undefined;
  }
  if (document.contents === null) return { kind: "map", source: sourceAt(0), entries: [] };
  const root = createReader(sourceAt, report)(document.contents, "", 1);
  if (root === undefined || root.kind === "map") return root;
  if (root.kind === "scalar" && root.value === null) return { kind: "map", source: root.source, entries: [] };
  const found = root.kind === "list" ? "a list" : "a single value";
  report({ path: "", found, expected: "a map of keys and values", source: root.source });
  return undefined;
}

type ReadNode = (node: Node, path: string, depth: number) => ConfigNode | undefined;

/** The reader keeps the anchors seen so far: an alias means the latest one before it. */
function createReader(sourceAt: SourceAt, report: ReportProblem): ReadNode {
  const anchors = new Map<string, ConfigNode>();
  let aliases = 0;

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
    const seen = new Map<string, ConfigSource>();
    return pairs.flatMap(({ key: keyNode, value: valueNode }) => {
      const key = isScalar(keyNode) ? String(keyNode.value) : "";
      const source = sourceAt(keyNode.range?.[0] ?? 0);
      const here = keyPath(path, key);
      const earlier = seen.get(key);
      if (earlier !== undefined) {
        const line = earlier.from === "file" ? earlier.line : 0;
        report({ path: here, found: "the key a second time", expected: `it once (first on line ${line})`, source });
        return [];
      }
      seen.set(key, source);
      const value = valueNode === null ? scalarOf(null, "", source) : read(valueNode, here, depth + 1);
      return value === undefined ? [] : [{ key, source, value }];
    });
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
