/**
 * A tool's input as the model wrote it, every digit of its numbers with it, or why it can't be read. What JSON.parse lets
 * pass and no two readers agree on is refused: a key that comes twice, and `__proto__`.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { parseExact } from "../../../../kernel/json/exact-json.ts";

/** The most bytes of one tool input, as UTF-8. */
export const longestInputBytes = 1_048_576;

export interface ParsedArguments {
  /** Empty when there is a problem. */
  readonly arguments: JsonObject;
  /** For the model: what is wrong; undefined when nothing is. */
  readonly problem: string | undefined;
}

export function tooLongArguments(): ParsedArguments {
  return refuse(`The arguments are longer than ${longestInputBytes} bytes.`);
}

/** @param json Empty for the input that stands in the block's first event, which is `given`. */
export function parseArguments(json: string, given: unknown): ParsedArguments {
  const text = json === "" ? stringify(given) : json;
  if (text === undefined) return refuse("The arguments are not valid JSON.");
  if (Buffer.byteLength(text) > longestInputBytes) return tooLongArguments();
  let value: JsonValue;
  try {
    value = parseExact(text);
  } catch (error) {
    if (error instanceof RangeError) return refuse("The arguments have a number that is too large to be one.");
    return refuse("The arguments are not valid JSON; were they cut short?");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse("The arguments are not a JSON object.");
  }
  const problem = problemOfKeys(text);
  return problem === undefined ? { arguments: value, problem: undefined } : refuse(problem);
}

function refuse(problem: string): ParsedArguments {
  return { arguments: {}, problem };
}

/** An input that was never given is an empty one. */
function stringify(given: unknown): string | undefined {
  try {
    return JSON.stringify(given ?? {});
  } catch {
    return undefined;
  }
}

/** Walks the tokens of a text that JSON.parse has taken. */
function problemOfKeys(json: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let isKeyNext = false;
  for (const [token] of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g)) {
    switch (token) {
      case "{":
        open.push(new Set());
        isKeyNext = true;
        break;
      case "[":
        open.push(undefined);
        isKeyNext = false;
        break;
      case "}":
      case "]":
        open.pop();
        isKeyNext = false;
        break;
      case ",":
        isKeyNext = open.at(-1) !== undefined;
        break;
      case ":":
        isKeyNext = false;
        break;
      default: {
        const keys = open.at(-1);
        if (!isKeyNext || keys === undefined) break;
        const key = JSON.parse(token) as string;
        if (key === "__proto__") return "The arguments have a key __proto__, which is not allowed.";
        if (keys.has(key)) return `The arguments have the key ${JSON.stringify(key.slice(0, 100))} twice.`;
        keys.add(key);
      }
    }
  }
  return undefined;
}
