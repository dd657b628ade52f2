/**
 * One walk over a schema that writes it anew.
 *
 * Which parts became looser is known only at the end, and what stands around them may depend on it: the first pass finds
 * them, the second one is told. Targets of references are mended once each and stand in `$defs`, wherever they stood.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isObject, objectOf, presentEntries, type RawObject } from "../json-parts.ts";
import { Definitions } from "./definitions.ts";
import { RefTargets } from "./find-target.ts";
import { LoosenedNodes } from "./loosened-nodes.ts";
import { MendNotes } from "./mend-notes.ts";
import { mendValue } from "./mend-value.ts";
import { type Keywords, moderniseNode } from "./modernise-node.ts";
import { SchemaPatterns } from "./schema-patterns.ts";
import { readTypeName } from "./type-names.ts";
import { Unmendable } from "./unmendable.ts";

const maxDepth = 30;
const maxSubschemas = 5_000;
const maxValues = 20_000;
const dependent = "depends on what is not checked";

/** Where `true` and `false` are usual, and stay. */
const orBoolean = new Set(["additionalProperties", "unevaluatedProperties", "unevaluatedItems", "items"]);
const schemaKeywords = new Set([
  ...orBoolean,
  "propertyNames",
  "contains",
  "not",
  "if",
  "then",
  "else",
  "contentSchema",
]);
const listKeywords = new Set(["allOf", "anyOf", "oneOf", "prefixItems"]);
const mapKeywords = new Set(["properties", "patternProperties", "dependentSchemas"]);

/** What is left over is judged by what was found before: when that is loosened, this has to go. */
const leftoversOf: Readonly<Record<string, readonly string[]>> = {
  properties: ["additionalProperties", "unevaluatedProperties"],
  patternProperties: ["additionalProperties", "unevaluatedProperties"],
  prefixItems: ["items", "unevaluatedItems"],
};

export class MendPass {
  readonly defs = new Map<string, JsonValue>();
  readonly #root: RawObject;
  readonly #targets: RefTargets;
  /** Raw nodes that the pass before found to have become looser, themselves or by what they refer to. */
  readonly #loosened: ReadonlySet<unknown>;
  readonly #definitions = new Definitions();
  readonly #nodes = new LoosenedNodes();
  readonly #patterns = new SchemaPatterns();
  readonly #notes = new MendNotes();
  #subschemas = 0;
  #values = 0;

  constructor(root: RawObject, loosened: ReadonlySet<unknown>) {
    this.#root = root;
    this.#targets = new RefTargets(root);
    this.#loosened = loosened;
  }

  get parts(): number {
    return this.#subschemas + this.#patterns.parts;
  }

  get notes(): readonly string[] {
    return this.#notes.list();
  }

  /** Throws Unmendable. */
  mendRoot(): JsonObject {
    const root = this.#mendNode(this.#root, "", 0);
    for (let next = this.#definitions.takeNext(); next !== undefined; next = this.#definitions.takeNext()) {
      this.defs.set(next.name, this.#mend(next.target, `$defs.${next.name}`, 2));
    }
    return root;
  }

  /** The raw nodes that this pass made looser, themselves or by what they refer to. */
  loosened(): ReadonlySet<unknown> {
    return this.#nodes.all();
  }

  #mend(raw: unknown, path: string, depth: number): JsonObject {
    if (isObject(raw)) return this.#mendNode(raw, path, depth);
    this.#subschemas++;
    if (raw === true || raw === null || raw === undefined || raw === "true") return {};
    if (raw === false || raw === "false") return { not: {} };
    const type = typeof raw === "string" ? readTypeName(raw) : undefined;
    if (type === undefined) this.#drop(path, "is no schema");
    return type === undefined || type === "any" ? {} : { type };
  }

  #mendNode(raw: RawObject, path: string, depth: number): JsonObject {
    if (depth > maxDepth) throw new Unmendable("is nested more than 32 levels deep");
    if (++this.#subschemas > maxSubschemas) throw new Unmendable(`has more than ${maxSubschemas} parts`);
    this.#nodes.enter(raw);
    try {
      const keywords = moderniseNode(raw);
      this.#dropWhatLooseningTightens(raw, keywords, path);
      const written: [string, JsonValue][] = [];
      const leftovers = new Set<string>();
      for (const [key, value] of keywords) {
        this.#spend(1);
        const before = this.#notes.count;
        const mended = this.#mendKeyword(key, value, join(path, key), depth);
        if (mended !== undefined) written.push([key, mended]);
        const lostParts = this.#notes.count > before && (mended === undefined || this.#lostEntries);
        if (lostParts) for (const leftover of leftoversOf[key] ?? []) leftovers.add(leftover);
        this.#lostEntries = false;
      }
      const kept = written.filter(([key]) => !leftovers.has(key));
      for (const leftover of leftovers) if (keywords.has(leftover)) this.#drop(join(path, leftover), dependent);
      return objectOf(kept);
    } finally {
      this.#nodes.leave();
    }
  }

  /** Whether the present map or list lost an entry. */
  #lostEntries = false;

  #dropWhatLooseningTightens(raw: RawObject, keywords: Keywords, path: string): void {
    if (this.#loosened.size === 0) return;
    const isLoose = (value: unknown): boolean =>
      this.#loosened.has(value) || !(isObject(value) || typeof value === "boolean" || value === undefined);
    const drop = (...keys: string[]): void => {
      for (const key of keys) if (keywords.delete(key)) this.#drop(join(path, key), dependent);
    };
    if (isLoose(keywords.get("not"))) drop("not");
    if (isLoose(keywords.get("if"))) drop("if", "then", "else");
    if (isLoose(keywords.get("contains"))) drop("maxContains");
    if (this.#loosened.has(raw)) {
      if (keywords.get("unevaluatedProperties") !== true) drop("unevaluatedProperties");
      if (keywords.get("unevaluatedItems") !== true) drop("unevaluatedItems");
    }
    const oneOf = keywords.get("oneOf");
    if (!Array.isArray(oneOf) || !oneOf.some(isLoose)) return;
    drop("oneOf");
    if (!keywords.has("anyOf")) keywords.set("anyOf", oneOf);
  }

  /** The keyword's value, or undefined when there is nothing to write. */
  #mendKeyword(key: string, value: unknown, path: string, depth: number): JsonValue | undefined {
    if (key === "$ref") return this.#mendRef(value, path);
    if (key === "pattern") return this.#mendPattern(value, path);
    if (schemaKeywords.has(key)) {
      if (orBoolean.has(key) && (typeof value === "boolean" || value === "true" || value === "false"))
        return String(value) === "true";
      return this.#mend(value, path, depth + 1);
    }
    if (listKeywords.has(key)) return this.#mendList(key, value, path, depth);
    if (mapKeywords.has(key)) return this.#mendMap(key, value, path, depth);
    const mended = mendValue(key, value, (count) => this.#spend(count));
    switch (mended.kind) {
      case "value":
        if (mended.note !== undefined) this.#notes.add(path, mended.note);
        return mended.value;
      case "looser":
        this.#drop(path, mended.note);
        return mended.value;
      case "nothing":
        return undefined;
      case "dropped":
        this.#drop(path, mended.note);
        return undefined;
    }
  }

  #mendRef(value: unknown, path: string): string | undefined {
    const found = typeof value === "string" ? this.#targets.find(value) : undefined;
    if (found === undefined || found.kind === "missing") {
      this.#drop(
        path,
        found === undefined ? "is no reference" : `${JSON.stringify(String(value).slice(0, 100))} ${found.problem}`,
      );
      return undefined;
    }
    const { target } = found;
    this.#nodes.refer(target);
    return target === this.#root ? "#" : `#/$defs/${this.#definitions.nameOf(target, found.name)}`;
  }

  #mendPattern(value: unknown, path: string): string | undefined {
    if (typeof value !== "string" || !value.isWellFormed()) {
      this.#drop(path, "is no pattern");
      return undefined;
    }
    const judged = this.#patterns.judge(value);
    if (judged.kind === "usable") return value;
    this.#drop(path, judged.problem);
    return undefined;
  }

  #mendList(key: string, value: unknown, path: string, depth: number): JsonValue | undefined {
    const isOne = isObject(value) || typeof value === "boolean";
    if (!Array.isArray(value) && !isOne) {
      this.#drop(path, "is no list of schemas");
      return undefined;
    }
    const list: readonly unknown[] = isOne ? [value] : (value as unknown[]);
    // Of alternatives, null is what YAML makes of the type's name; elsewhere it is absent, and a place is kept.
    const isChoice = key === "anyOf" || key === "oneOf";
    const kept = key === "allOf" ? list.filter((each) => each !== null) : list;
    const mended = kept.map((each, index) =>
      this.#mend(each === null && isChoice ? { type: "null" } : each, `${path}[${index}]`, depth + 2),
    );
    return mended.length === 0 ? undefined : mended;
  }

  #mendMap(key: string, value: unknown, path: string, depth: number): JsonValue | undefined {
    if (Array.isArray(value) && value.length === 0) return {};
    if (!isObject(value)) {
      this.#drop(path, "is no map of schemas");
      return undefined;
    }
    const entries: [string, JsonValue][] = [];
    let lost = false;
    const present = key === "properties" ? Object.entries(value) : presentEntries(value);
    for (const [name, each] of present) {
      const here = `${path}.${name.slice(0, 100)}`;
      const problem = this.#findNameProblem(key, name);
      if (problem === undefined) entries.push([name, this.#mend(each, here, depth + 2)]);
      else {
        this.#drop(here, problem);
        lost = true;
      }
    }
    this.#lostEntries = lost;
    return objectOf(entries);
  }

  #findNameProblem(key: string, name: string): string | undefined {
    if (name === "__proto__" || !name.isWellFormed()) return "has a name that can't be used";
    if (key !== "patternProperties") return undefined;
    const judged = this.#patterns.judge(name);
    return judged.kind === "usable" ? undefined : judged.problem;
  }

  #spend(count: number): void {
    this.#values += count;
    if (this.#values > maxValues) throw new Unmendable(`has more than ${maxValues} values`);
  }

  /** From here on the schema takes more than its server wrote. */
  #drop(path: string, why: string): void {
    this.#nodes.loosen();
    this.#notes.add(path, `${why}; it is not checked`);
  }
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}
