// Keeps: flag before environment before file, with the same checks for all three, because all become the same tree.
import type { ConfigSource } from "../config-error.ts";
import { type ConfigFlags, type Environment, overridableSettings } from "../settings.ts";
import type { ConfigMap, ConfigNode } from "./config-node.ts";

/** The tree of the file with what flags and environment give put over it. */
export function overlaySettings(file: ConfigMap, flags: ConfigFlags, env: Environment): ConfigMap {
  return overridableSettings.reduce((tree, { path, variable, flag }) => {
    const flagValue = flag === undefined ? undefined : flags[flag.key];
    const value = env[variable];
    if (flag !== undefined && flagValue !== undefined) {
      return put(tree, path, flagValue, { from: "flag", name: flag.name });
    }
    if (value === undefined || value === "") return tree;
    return put(tree, path, value, { from: "environment", name: variable });
  }, file);
}

function put(tree: ConfigMap, path: readonly string[], value: string, source: ConfigSource): ConfigMap {
  const [key, ...rest] = path;
  if (key === undefined) return tree;
  const entry = tree.entries.find((candidate) => candidate.key === key);
  const next = rest.length === 0 ? scalar(value, source) : putInside(entry?.value, rest, value, source);
  const others = tree.entries.filter((candidate) => candidate.key !== key);
  return { ...tree, entries: [...others, { key, source: entry?.source ?? source, value: next }] };
}

/** A value that should be a map and is not stays as it is: reading it reports that. */
function putInside(
  inside: ConfigNode | undefined,
  path: readonly string[],
  value: string,
  source: ConfigSource,
): ConfigNode {
  if (inside?.kind === "map") return put(inside, path, value, source);
  if (inside === undefined || (inside.kind === "scalar" && inside.value === null)) {
    return put({ kind: "map", source, entries: [] }, path, value, source);
  }
  return inside;
}

function scalar(value: string, source: ConfigSource): ConfigNode {
  return { kind: "scalar", source, value, written: JSON.stringify(value) };
}
