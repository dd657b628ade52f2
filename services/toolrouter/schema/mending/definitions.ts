/** The targets of references, each under a name of its own in `$defs`. Keeps L7: their number is bounded. */
import { Unmendable } from "./unmendable.ts";

const maxDefinitions = 500;
const maxNameLength = 60;

export class Definitions {
  readonly #names = new Map<unknown, string>();
  /** Targets that wait for their turn: a chain of references is no recursion. */
  readonly #wanted: { readonly name: string; readonly target: unknown }[] = [];
  readonly #taken = new Set<string>();

  /** The target's name, as much like `wanted` as can be. Throws Unmendable. */
  nameOf(target: unknown, wanted: string): string {
    return this.#names.get(target) ?? this.#define(target, wanted);
  }

  /** A target that was named and not given yet. */
  takeNext(): { readonly name: string; readonly target: unknown } | undefined {
    return this.#wanted.shift();
  }

  #define(target: unknown, wanted: string): string {
    if (this.#names.size >= maxDefinitions) throw new Unmendable(`has more than ${maxDefinitions} definitions`);
    const plain = wanted.replace(/[^A-Za-z0-9_.-]/g, "_").slice(0, maxNameLength) || "schema";
    let name = plain === "__proto__" ? "proto" : plain;
    for (let n = 2; this.#taken.has(name); n++) name = `${plain}_${n}`;
    this.#taken.add(name);
    this.#names.set(target, name);
    this.#wanted.push({ name, target });
    return name;
  }
}
