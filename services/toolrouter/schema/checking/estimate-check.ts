/**
 * Whether a check is cheap enough to be made at once, before it is made.
 *
 * Follows the schema along the arguments as the check would, but takes every branch: the check never takes more. The
 * estimate itself stops at its bound.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isObject } from "../json-parts.ts";
import { translatePattern } from "../translate-pattern.ts";

/** A step is about what comparing two short texts costs. */
const charactersOfStep = 100;
/** Instructions of a pattern's program that a step runs over one character. */
const instructionsOfStep = 50;

/** Both are JSON that was looked at before: the schema mended, the arguments of bounded depth. */
export function isCheapToCheck(schema: JsonObject, args: JsonObject, maxSteps: number): boolean {
  try {
    new Estimate(schema, maxSteps).follow(schema, args);
    return true;
  } catch (error) {
    if (error instanceof TooCostly) return false;
    throw error;
  }
}

class TooCostly extends Error {}

class Estimate {
  readonly #root: JsonObject;
  #stepsLeft: number;

  constructor(root: JsonObject, maxSteps: number) {
    this.#root = root;
    this.#stepsLeft = maxSteps;
  }

  follow(schema: JsonValue | undefined, value: JsonValue): void {
    this.#spend(1);
    if (!isObject(schema)) return;
    for (const [keyword, is] of Object.entries(schema as JsonObject)) {
      this.#spend(1);
      this.#followInPlace(keyword, is, value);
      if (typeof value === "string") this.#followText(keyword, is, value);
      else if (Array.isArray(value)) this.#followItems(keyword, is, value);
      else if (typeof value === "object" && value !== null) this.#followMembers(keyword, is, value);
    }
  }

  #followInPlace(keyword: string, is: JsonValue, value: JsonValue): void {
    switch (keyword) {
      case "$ref":
        if (typeof is === "string") this.follow(this.#resolve(is), value);
        return;
      case "allOf":
      case "anyOf":
      case "oneOf":
        for (const each of listOf(is)) this.follow(each, value);
        return;
      case "not":
      case "if":
      case "then":
      case "else":
        this.follow(is, value);
        return;
      case "enum":
        this.#spend(listOf(is).length * (typeof value === "object" ? 10 : 1));
        return;
      case "const":
        this.#spendValue(is);
        return;
    }
  }

  #followText(keyword: string, is: JsonValue, text: string): void {
    if (keyword === "pattern" && typeof is === "string") this.#spendPattern(is, text);
    if (keyword === "minLength" || keyword === "maxLength") this.#spend(text.length / charactersOfStep);
  }

  #followItems(keyword: string, is: JsonValue, items: readonly JsonValue[]): void {
    switch (keyword) {
      case "items":
      case "contains":
      case "unevaluatedItems":
        for (const item of items) this.follow(is, item);
        return;
      case "prefixItems":
        for (const [index, each] of listOf(is).entries()) this.follow(each, items[index] ?? null);
        return;
      case "uniqueItems":
        this.#spendValue(items as JsonValue[]);
        return;
    }
  }

  #followMembers(keyword: string, is: JsonValue, members: JsonObject): void {
    switch (keyword) {
      case "properties":
        for (const [name, each] of entriesOf(is)) {
          this.#spend(1);
          if (Object.hasOwn(members, name)) this.follow(each, members[name] ?? null);
        }
        return;
      case "patternProperties":
        for (const [pattern, each] of entriesOf(is)) {
          for (const [name, member] of Object.entries(members)) {
            this.#spendPattern(pattern, name);
            this.follow(each, member);
          }
        }
        return;
      case "additionalProperties":
      case "unevaluatedProperties":
        for (const member of Object.values(members)) this.follow(is, member);
        return;
      case "propertyNames":
        for (const name of Object.keys(members)) this.follow(is, name);
        return;
      case "dependentSchemas":
        for (const [, each] of entriesOf(is)) this.follow(each, members);
        return;
      case "dependentRequired":
        for (const [, names] of entriesOf(is)) this.#spend(listOf(names).length);
        return;
      case "required":
        this.#spend(listOf(is).length);
        return;
    }
  }

  #resolve(ref: string): JsonValue | undefined {
    if (ref === "#") return this.#root;
    const definitions = this.#root.$defs;
    return isObject(definitions) ? (definitions as JsonObject)[ref.replace(/^#\/\$defs\//, "")] : undefined;
  }

  #spendPattern(pattern: string, text: string): void {
    const { size } = translatePattern(pattern);
    this.#spend(size + (text.length * (size + 1)) / instructionsOfStep);
  }

  #spendValue(value: JsonValue): void {
    this.#spend(1);
    if (typeof value === "string") this.#spend(value.length / charactersOfStep);
    else if (typeof value === "object" && value !== null)
      for (const each of Object.values(value)) this.#spendValue(each);
  }

  #spend(steps: number): void {
    this.#stepsLeft -= steps;
    if (this.#stepsLeft < 0) throw new TooCostly();
  }
}

function listOf(value: JsonValue): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

function entriesOf(value: JsonValue): readonly (readonly [string, JsonValue])[] {
  return isObject(value) ? Object.entries(value as JsonObject) : [];
}
