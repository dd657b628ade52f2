/** What a person's words ask for: small pure functions, one table test. */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { parseExact } from "../../../kernel/json/exact-json.ts";

export type Wish =
  | { readonly kind: "commands"; readonly steps: readonly (readonly CommandedCall[])[] }
  | { readonly kind: "bad-command"; readonly problem: string }
  | { readonly kind: "think"; readonly about: string }
  | { readonly kind: "long"; readonly words: number }
  | { readonly kind: "fail"; readonly how: "unavailable" | "refused" | "midway" }
  | { readonly kind: "help" }
  | { readonly kind: "greeting" }
  | { readonly kind: "repeat"; readonly text: string }
  | { readonly kind: "count"; readonly to: number }
  | { readonly kind: "recall" }
  | { readonly kind: "other" };

export interface CommandedCall {
  readonly tool: string;
  readonly arguments: JsonObject;
}

/** The most words of `/long` and the highest number of "count to" (L7). */
export const mostWords = 100_000;

export function readWish(question: string): Wish {
  const text = question.trim();
  if (/^\/(?:call|then)\b/m.test(text)) return readCommands(text);
  return readSlash(text) ?? readPhrase(text) ?? { kind: "other" };
}

function readSlash(text: string): Wish | undefined {
  const [, command, rest = ""] = /^\/(\w+)\s*([\s\S]*)$/.exec(text) ?? [];
  switch (command) {
    case undefined:
      return undefined;
    case "think":
      return { kind: "think", about: rest.trim() };
    case "long":
      return { kind: "long", words: wholeNumber(rest, 200) };
    case "fail":
      return {
        kind: "fail",
        how: rest.startsWith("refused") ? "refused" : rest.startsWith("mid") ? "midway" : "unavailable",
      };
    case "help":
      return { kind: "help" };
    default:
      return { kind: "bad-command", problem: `I know no command /${command}.` };
  }
}

function readPhrase(text: string): Wish | undefined {
  const repeat = /^(?:please\s+)?(?:repeat(?:\s+after\s+me)?|say)\s*[:,]?\s+([\s\S]+)$/i.exec(text)?.[1];
  if (repeat !== undefined) return { kind: "repeat", text: unquote(repeat) };
  const count = /\bcount\s+(?:from\s+(?:1|one)\s+)?(?:up\s+)?to\s+(\d+)\b/i.exec(text)?.[1];
  if (count !== undefined) return { kind: "count", to: wholeNumber(count, 0) };
  if (/^(?:hi|hello|hey|good (?:morning|afternoon|evening)|greetings)\b[^?]{0,40}$/i.test(text))
    return { kind: "greeting" };
  if (/^(?:help|what can you do|who are you|what are you)\b/i.test(text)) return { kind: "help" };
  if (/\bwhat did I (?:just |first )?(?:say|ask|write)/i.test(text)) return { kind: "recall" };
  return undefined;
}

function wholeNumber(text: string, otherwise: number): number {
  const value = Number.parseInt(text, 10);
  return Number.isNaN(value) ? otherwise : Math.min(Math.max(value, 0), mostWords);
}

/** `/call server.tool {json}` lines are one step; a `/then` line begins the next one. */
function readCommands(text: string): Wish {
  const steps: CommandedCall[][] = [];
  // The JSON may run over several lines, up to the next command.
  for (const part of text.split(/^(?=\/(?:call|then)\b)/m)) {
    const [, command, tool, json = ""] = /^\/(call|then)\s+(\S+)\s*([\s\S]*)$/.exec(part.trim()) ?? [];
    if (tool === undefined) {
      if (part.startsWith("/")) return { kind: "bad-command", problem: 'Write /call server.tool {"name": "value"}.' };
      continue;
    }
    const given = json.trim() === "" ? {} : parseObject(json);
    if (given === undefined) return { kind: "bad-command", problem: `The arguments of ${tool} are not a JSON object.` };
    const call = { tool, arguments: given };
    if (command === "then" || steps.length === 0) steps.push([call]);
    else steps.at(-1)?.push(call);
  }
  return { kind: "commands", steps };
}

/** The JSON object that a text is; undefined when it is none. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: JsonValue = parseExact(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function unquote(text: string): string {
  const trimmed = text.trim();
  return /^(["'“`])([\s\S]*)(["'”`])$/.exec(trimmed)?.[2] ?? trimmed;
}
