/** Which source file imports which, by a value or by a type. */
import { posix } from "node:path";
import type { SourceFile } from "./source-files.ts";

/** The specifiers of all imports and exports of a file, dynamic ones included. */
export function importsOf(text: string): string[] {
  const statements = text.matchAll(/^\s*(?:import|export)\b(?:[^"';]*?\bfrom)?\s*["']([^"']+)["']/gm);
  const calls = text.matchAll(/\bimport\(\s*["']([^"']+)["']/g);
  return [...statements, ...calls].map(([, specifier = ""]) => specifier);
}

/**
 * Groups of files that import each other in a circle, each group in order of name. A circle of types counts: it says that a
 * type stands in the wrong file.
 */
export function findCycles(files: readonly SourceFile[]): string[][] {
  const graph = new Map(files.map((file) => [file.path, targetsOf(file)]));
  const reaches = (from: string): Set<string> => {
    const reached = new Set<string>();
    const open = [...(graph.get(from) ?? [])];
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      if (reached.has(path) || !graph.has(path)) continue;
      reached.add(path);
      open.push(...(graph.get(path) ?? []));
    }
    return reached;
  };
  const groups: string[][] = [];
  const seen = new Set<string>();
  for (const path of graph.keys()) {
    if (seen.has(path)) continue;
    const reached = reaches(path);
    if (!reached.has(path)) continue;
    const group = [...reached].filter((other) => reaches(other).has(path)).sort();
    for (const member of group) seen.add(member);
    groups.push(group);
  }
  return groups;
}

function targetsOf({ path, text }: SourceFile): string[] {
  const relative = importsOf(text).filter((specifier) => specifier.startsWith("."));
  return relative.map((specifier) => posix.join(posix.dirname(path), specifier));
}
