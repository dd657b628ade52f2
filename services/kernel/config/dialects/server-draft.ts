// A server's entry on its way from another program's words to ours: what was understood so far, under our keys.

import type { ConfigSource } from "../config-error.ts";
import type { ReportWarning } from "../config-warning.ts";
import { type ConfigEntry, type ConfigMap, type ConfigNode, keyPath } from "../reading/config-node.ts";

/** What is wrong with a server, so that it is switched off; the rest of the configuration is used. */
export interface ServerProblem {
  /** The key inside of the server, "" for the server itself. */
  readonly key: string;
  /** A sentence without its full stop; never a secret. */
  readonly text: string;
  readonly source: ConfigSource;
}

export class ServerDraft {
  readonly problems: ServerProblem[] = [];
  /** Keys that say nothing to a program. */
  readonly withoutEffect: string[] = [];
  readonly #fields = new Map<string, { readonly written: string; readonly entry: ConfigEntry }>();
  readonly #path: string;
  readonly #source: ConfigSource;
  readonly #warn: ReportWarning;

  constructor(path: string, source: ConfigSource, warn: ReportWarning) {
    this.#path = path;
    this.#source = source;
    this.#warn = warn;
  }

  get(key: string): ConfigNode | undefined {
    return this.#fields.get(key)?.entry.value;
  }

  /** Gives a key of ours its value; the first one counts, of maps each entry's. `written` is the key as it stands. */
  set(key: string, value: ConfigNode, written: string = key): void {
    const earlier = this.#fields.get(key);
    if (earlier === undefined) this.replace(key, value, written);
    else if ((key === "env" || key === "headers") && earlier.entry.value.kind === "map" && value.kind === "map") {
      for (const entry of value.entries) {
        const text = `it is not used, because \`${earlier.written}\` says it`;
        if (!this.put(key, entry)) this.warn(keyPath(written, entry.key), text, entry.source);
      }
    } else if (!isSame(earlier.entry.value, value)) {
      this.warn(written, `it is not used, because \`${earlier.written}\` says it`, value.source);
    }
  }

  replace(key: string, value: ConfigNode, written: string = key): void {
    this.#fields.set(key, { written, entry: { key, source: value.source, value } });
  }

  drop(key: string): void {
    this.#fields.delete(key);
  }

  /** Puts an entry into a map of ours (`env`, `headers`), when there is none of this name yet. */
  put(key: "env" | "headers", entry: ConfigEntry): boolean {
    const map = this.get(key);
    const entries = map?.kind === "map" ? map.entries : [];
    const isThere = (name: string): boolean => name.toLowerCase() === entry.key.toLowerCase();
    if (entries.some((other) => isThere(other.key))) return false;
    this.replace(key, { kind: "map", source: map?.source ?? entry.source, entries: [...entries, entry] });
    return true;
  }

  warn(key: string, text: string, source: ConfigSource): void {
    this.#warn({ path: key === "" ? this.#path : `${this.#path}.${key}`, text, source });
  }

  fail(key: string, text: string, source: ConfigSource): void {
    this.problems.push({ key, text, source });
  }

  toMap(): ConfigMap {
    const entries = [...this.#fields.values()].map(({ entry }) => entry);
    return { kind: "map", source: this.#source, entries };
  }
}

function isSame(a: ConfigNode, b: ConfigNode): boolean {
  return a.kind === "scalar" && b.kind === "scalar" && a.value === b.value;
}
