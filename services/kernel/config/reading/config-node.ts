// A configuration before its meaning is known: maps, lists and scalars, each knowing where it was written.
import type { ConfigSource } from "../config-error.ts";

export type ConfigNode = ConfigMap | ConfigList | ConfigScalar;

export interface ConfigMap {
  readonly kind: "map";
  readonly source: ConfigSource;
  /** Keys are unique. */
  readonly entries: readonly ConfigEntry[];
}

export interface ConfigEntry {
  readonly key: string;
  /** Where the key stands. */
  readonly source: ConfigSource;
  readonly value: ConfigNode;
}

export interface ConfigList {
  readonly kind: "list";
  readonly source: ConfigSource;
  readonly items: readonly ConfigNode[];
}

export interface ConfigScalar {
  readonly kind: "scalar";
  readonly source: ConfigSource;
  readonly value: string | number | boolean | null;
  /** As it was written, for people. */
  readonly written: string;
}

/** The path of a key in a map; keys that are not plain words are quoted. */
export function keyPath(parent: string, key: string): string {
  if (!/^[\w-]+$/.test(key)) return `${parent}[${JSON.stringify(key)}]`;
  return parent === "" ? key : `${parent}.${key}`;
}
