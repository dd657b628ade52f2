/**
 * The arguments of a tool call: what they are, what they are checked as, and their one spelling.
 *
 * Keeps L7: bytes, levels and values have bounds. What is refused here reaches no log, no tool and no model.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { canonicalJson } from "./canonical-json.ts";
import { isRawNumber, parseExact } from "./exact-json.ts";

/** Of the text, in bytes: 1 MiB and what stands around a text of that size. */
const mostArgumentBytes = 1_114_112;
/** Levels of objects and lists, the arguments themselves being the first: what every reader of JSON takes. */
const deepestArguments = 30;
/** Values and names of members, in all: what a request may have of elements (atoll.auth.v1.Rule.max_elements). */
const mostValues = 65_536;

export type ReadArguments =
  | {
      readonly kind: "read";
      /** Numbers that no double holds are raw ones (exact-json.ts). */
      readonly value: JsonObject;
      /** Canonical, the digits of all numbers kept. */
      readonly text: string;
    }
  /** `problem` goes on from a name of what is wrong, for example "are no object". */
  | { readonly kind: "broken"; readonly problem: string };

/** @param text JSON; empty for `{}`. */
export function readArguments(text: string): ReadArguments {
  if (text === "") return { kind: "read", value: {}, text: "{}" };
  if (Buffer.byteLength(text) > mostArgumentBytes) return tooLong;
  try {
    // First without the digits, which take longer the more values there are.
    const spelt = spellArguments(JSON.parse(text) as JsonValue);
    return spelt.kind === "read" ? spellArguments(parseExact(text)) : spelt;
  } catch (error) {
    const problem = error instanceof RangeError ? "have a number that is too large to be one" : "are no JSON";
    return { kind: "broken", problem };
  }
}

/** The same of a value that was parsed: with parseExact, or by whoever needs no digits. */
export function spellArguments(value: JsonValue): ReadArguments {
  if (typeof value !== "object" || value === null || Array.isArray(value) || isRawNumber(value)) {
    return { kind: "broken", problem: "are no JSON object" };
  }
  const problem = new ArgumentWalk().problemOf(value, 1);
  if (problem !== undefined) return { kind: "broken", problem };
  const text = canonicalJson(value);
  return Buffer.byteLength(text) > mostArgumentBytes ? tooLong : { kind: "read", value, text };
}

const tooLong: ReadArguments = { kind: "broken", problem: `are longer than ${mostArgumentBytes} bytes` };

class ArgumentWalk {
  #values = 0;

  problemOf(value: JsonValue, level: number): string | undefined {
    this.#values += 1;
    if (this.#values > mostValues) return `have more than ${mostValues} values`;
    switch (typeof value) {
      case "string":
        return problemOfText(value);
      case "number":
        return problemOfNumber(value);
      case "boolean":
        return undefined;
      case "object":
        if (value === null) return undefined;
        if (isRawNumber(value)) return problemOfNumber(Number(value.rawJSON));
        if (level > deepestArguments) return `are nested deeper than ${deepestArguments} levels`;
        return Array.isArray(value) ? this.#problemOfList(value, level) : this.#problemOfMembers(value, level);
      default:
        return "have a value that JSON has not";
    }
  }

  #problemOfList(list: readonly JsonValue[], level: number): string | undefined {
    for (const each of list) {
      const problem = this.problemOf(each, level + 1);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #problemOfMembers(object: JsonObject, level: number): string | undefined {
    for (const [key, each] of Object.entries(object)) {
      if (key === "__proto__") return "have a key __proto__, which is not allowed";
      this.#values += 1;
      const problem = problemOfText(key) ?? this.problemOf(each, level + 1);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
}

function problemOfNumber(number: number): string | undefined {
  return Number.isFinite(number) ? undefined : "have a number that is too large to be one";
}

function problemOfText(text: string): string | undefined {
  return text.isWellFormed() ? undefined : "have half a surrogate pair in a text";
}
