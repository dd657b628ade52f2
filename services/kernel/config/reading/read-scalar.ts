// Keeps: a value is what it says; text is never taken for a number, nor a number for text, and a secret is never shown.
import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { cutText } from "../../visible-text.ts";
import { nearMiss } from "../near-miss.ts";
import type { ConfigNode } from "./config-node.ts";
import type { FieldRules } from "./field-rules.ts";

export type ScalarReading =
  | { readonly ok: true; readonly value: string | number | bigint | boolean }
  | { readonly ok: false; readonly found: string; readonly expected: string; readonly hint?: string };

const maxShownBytes = 80;

/** Where 0 is a value of its own, though the field can't tell it from "not given": there the default is 0 too. */
const zeroIsDefault = new Set(["atoll.config.v1.AgentConfig.thinking_tokens"]);

/** Reads a value of a field, list item or map value. `secret` keeps what was found out of the answer. */
export function readScalar(
  scalar: ScalarType,
  node: ConfigNode,
  rules: FieldRules,
  field: DescField,
  secret: boolean,
): ScalarReading {
  switch (scalar) {
    case ScalarType.STRING:
      return readText(node, rules, secret);
    case ScalarType.BOOL:
      return readTruth(node, secret);
    case ScalarType.UINT32:
      return readNumber(node, rules, field, secret);
    case ScalarType.UINT64: {
      // Protobuf's own JSON writes 64 bits as text, and what we show must be readable again.
      const reading = readNumber(unquoteDigits(node), rules, field, secret);
      return reading.ok ? { ok: true, value: BigInt(Number(reading.value)) } : reading;
    }
    default:
      throw new TypeError(`${String(field)}: the configuration can't read this type`);
  }
}

function readText(node: ConfigNode, rules: FieldRules, secret: boolean): ScalarReading {
  const { words } = rules;
  const expected = words === undefined ? "text" : `one of ${words.join(", ")}`;
  if (node.kind !== "scalar" || typeof node.value !== "string") {
    const quotable = node.kind === "scalar" && node.value !== null;
    const hint = secret ? "Put it in quotes." : `Put it in quotes: "${quotable ? node.written : ""}".`;
    return { ok: false, found: describeFound(node, secret), expected, ...(quotable ? { hint } : {}) };
  }
  const text = node.value;
  if (words !== undefined && text !== "" && !words.includes(text)) {
    const meant = nearMiss(text, words);
    const hint = meant === undefined ? {} : { hint: `Did you mean \`${meant}\`?` };
    return { ok: false, found: describeFound(node, secret), expected, ...hint };
  }
  if (text.includes("\0")) return { ok: false, found: "text with a NUL character", expected: "text without one" };
  const characters = Array.from(text).length;
  if (rules.minCharacters !== undefined && characters < rules.minCharacters) {
    return { ok: false, found: `${characters} characters`, expected: `at least ${rules.minCharacters}` };
  }
  if (rules.maxCharacters !== undefined && characters > rules.maxCharacters) {
    return { ok: false, found: `${characters} characters`, expected: `at most ${rules.maxCharacters}` };
  }
  const bytes = Buffer.byteLength(text);
  if (rules.maxBytes !== undefined && bytes > rules.maxBytes) {
    return { ok: false, found: `${bytes} bytes`, expected: `at most ${rules.maxBytes}` };
  }
  if (rules.pattern !== undefined && !new RegExp(rules.pattern, "u").test(text)) {
    return { ok: false, found: describeFound(node, secret), expected: `text that matches ${rules.pattern}` };
  }
  return { ok: true, value: text };
}

function readTruth(node: ConfigNode, secret: boolean): ScalarReading {
  if (node.kind === "scalar" && typeof node.value === "boolean") return { ok: true, value: node.value };
  return { ok: false, found: describeFound(node, secret), expected: "true or false" };
}

function readNumber(node: ConfigNode, rules: FieldRules, field: DescField, secret: boolean): ScalarReading {
  const zeroAllowed = field.proto.proto3Optional || zeroIsDefault.has(`${field.parent.typeName}.${field.name}`);
  const max = rules.max ?? 0xff_ff_ff_ff;
  const expected = `a whole number from ${zeroAllowed ? 0 : 1} to ${max}`;
  const found = describeFound(node, secret);
  if (node.kind !== "scalar" || typeof node.value !== "number") {
    const bare = node.kind === "scalar" && typeof node.value === "string" && /^\d+$/.test(node.value);
    return { ok: false, found, expected, ...(bare ? { hint: "Write it without quotes." } : {}) };
  }
  if (node.value === 0 && !zeroAllowed) return { ok: false, found, expected, hint: "Leave it out for the default." };
  if (!Number.isInteger(node.value) || node.value < 0 || node.value > max) return { ok: false, found, expected };
  return { ok: true, value: node.value };
}

function unquoteDigits(node: ConfigNode): ConfigNode {
  const digits = node.kind === "scalar" && typeof node.value === "string" && /^\d{1,15}$/.test(node.value);
  return digits ? { ...node, value: Number(node.value) } : node;
}

/** What stands there, for people: `"8080"`, `8080`, `a list`. */
export function describeFound(node: ConfigNode, secret: boolean): string {
  switch (node.kind) {
    case "map":
      return "a map";
    case "list":
      return "a list";
    case "scalar":
      if (node.value === null) return "nothing";
      if (secret) return `a ${typeof node.value === "string" ? "text" : typeof node.value} that is not shown`;
      return typeof node.value === "string" ? quoteText(node.value) : cutText(node.written, maxShownBytes);
  }
}

/** Text for a message: quoted, cut, and without the password of an address. */
export function quoteText(text: string): string {
  return JSON.stringify(cutText(text.replace(/\/\/[^/@]*@/, "//…@"), maxShownBytes));
}
