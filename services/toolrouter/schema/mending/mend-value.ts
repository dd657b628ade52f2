/** Mends the keywords whose values are no schemas: limits, types, lists of values, and notes for people. */
import type { JsonValue } from "@bufbuild/protobuf";
import { canonicalJson } from "../../../kernel/json/canonical-json.ts";
import { findJsonProblem } from "../../check-json.ts";
import { escapeHidden } from "../../escape-hidden.ts";
import { isObject, objectOf, presentEntries } from "../json-parts.ts";
import { readTypeName } from "./type-names.ts";

const maxEnumValues = 1_000;
const maxTextLength = 4_096;

export type MendedValue =
  /** `note` is there when it is not what was written, and the check stays the same. */
  | { readonly kind: "value"; readonly value: JsonValue; readonly note?: string }
  /** Nothing is left, and nothing is lost for the check. */
  | { readonly kind: "nothing" }
  /** Some of it is kept; the check becomes looser. */
  | { readonly kind: "looser"; readonly value: JsonValue; readonly note: string }
  /** The check becomes looser. */
  | { readonly kind: "dropped"; readonly note: string };

/** Told how many JSON values are copied; throws when they are too many. */
type Spend = (count: number) => void;

const nothing: MendedValue = { kind: "nothing" };
const limits = new Set(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]);
const counts = new Set([
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "minProperties",
  "maxProperties",
  "minContains",
  "maxContains",
]);
const texts = new Set(["title", "description", "$comment"]);
const words = new Set(["format", "contentEncoding", "contentMediaType"]);
const flags = new Set(["deprecated", "readOnly", "writeOnly"]);

export function mendValue(key: string, value: unknown, spend: Spend): MendedValue {
  if (key === "type") return mendType(value);
  if (key === "required") return mendNames(value);
  if (key === "enum") return mendEnum(value, spend);
  if (key === "dependentRequired") return mendDependentRequired(value, spend);
  if (key === "uniqueItems") return mendFlag(value, "is neither true nor false");
  if (key === "multipleOf") return mendNumber(value, (number) => number > 0, "is no number above 0");
  if (limits.has(key)) return mendNumber(value, Number.isFinite, "is no number");
  if (counts.has(key)) return mendNumber(value, (count) => Number.isSafeInteger(count) && count >= 0, "is no count");
  if (texts.has(key)) return typeof value === "string" ? { kind: "value", value: cut(value) } : nothing;
  if (words.has(key)) return typeof value === "string" ? { kind: "value", value: cut(value) } : nothing;
  if (flags.has(key)) return typeof value === "boolean" ? { kind: "value", value } : nothing;
  // Keywords of vocabularies that we do not know; `$async` would change what a check is.
  if (key.startsWith("$") || key === "__proto__" || !key.isWellFormed()) return nothing;
  const copied = copyJson(value, spend);
  // Elsewhere a reference or an address would be taken for one of the schema's own, and its target stands in `$defs` now.
  const isData = key === "const" || key === "default";
  if (copied !== undefined && (isData || !namesKeyword(copied))) return { kind: "value", value: copied };
  return key === "const" ? { kind: "dropped", note: "has a value that can't be compared" } : nothing;
}

function mendType(value: unknown): MendedValue {
  const written: readonly unknown[] = Array.isArray(value) ? value : [value];
  // Alone, `null` is an absent type; in a list it is what YAML makes of the type's name.
  const types = written.map((each) =>
    each === null ? "null" : typeof each === "string" ? readTypeName(each) : undefined,
  );
  const unknown = types.indexOf(undefined);
  if (unknown !== -1) {
    const name = written[unknown];
    return {
      kind: "dropped",
      note: `${typeof name === "string" ? JSON.stringify(name.slice(0, 100)) : "it"} is no type`,
    };
  }
  if (types.length === 0 || types.includes("any")) return nothing;
  const [first = "", ...others] = new Set(types.filter((type) => type !== undefined));
  const mended = others.length === 0 ? first : [first, ...others];
  const isSame = JSON.stringify(mended) === JSON.stringify(value);
  return { kind: "value", value: mended, ...(isSame ? {} : { note: `is read as ${JSON.stringify(mended)}` }) };
}

function mendNames(value: unknown): MendedValue {
  if (isObject(value) && Object.keys(value).length === 0) return nothing;
  const written: readonly unknown[] | undefined = Array.isArray(value)
    ? value
    : typeof value === "string"
      ? [value]
      : undefined;
  if (written === undefined) return { kind: "dropped", note: "is no list of names" };
  const names = [...new Set(written.filter((name) => typeof name === "string" && name.isWellFormed()) as string[])];
  const others = written.some((name) => name !== null && !(typeof name === "string" && name.isWellFormed()));
  if (others && names.length === 0) return { kind: "dropped", note: "holds no name" };
  if (others) return { kind: "looser", value: names, note: "holds something that is no name" };
  return names.length === 0 ? nothing : { kind: "value", value: names };
}

function mendEnum(value: unknown, spend: Spend): MendedValue {
  if (!Array.isArray(value) || value.length === 0) return { kind: "dropped", note: "is no list of values" };
  if (value.length > maxEnumValues)
    return { kind: "dropped", note: `has ${value.length} values, more than ${maxEnumValues}` };
  const copied = copyJson(value, spend);
  if (!Array.isArray(copied)) return { kind: "dropped", note: "has a value that can't be compared" };
  return { kind: "value", value: [...new Map(copied.map((each) => [canonicalJson(each), each])).values()] };
}

function mendDependentRequired(value: unknown, spend: Spend): MendedValue {
  if (!isObject(value)) return { kind: "dropped", note: "is no map of names" };
  const entries: [string, JsonValue][] = [];
  for (const [name, names] of presentEntries(value)) {
    const mended = mendNames(names);
    const isUsable =
      (mended.kind === "value" || mended.kind === "nothing") && name !== "__proto__" && name.isWellFormed();
    if (!isUsable) return { kind: "dropped", note: "holds something that is no list of names" };
    spend(1);
    if (mended.kind === "value") entries.push([name, mended.value]);
  }
  return entries.length === 0 ? nothing : { kind: "value", value: objectOf(entries) };
}

function mendFlag(value: unknown, note: string): MendedValue {
  if (typeof value === "boolean") return { kind: "value", value };
  if (value === "true" || value === "false") return { kind: "value", value: value === "true" };
  return { kind: "dropped", note };
}

function mendNumber(value: unknown, accepts: (number: number) => boolean, note: string): MendedValue {
  const isText = typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value);
  const number = isText ? Number(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number) || !accepts(number)) return { kind: "dropped", note };
  return { kind: "value", value: number, ...(isText ? { note: `is read as ${number}` } : {}) };
}

/** A copy that can travel, or undefined when that is impossible. */
function copyJson(value: unknown, spend: Spend): JsonValue | undefined {
  const json = value as JsonValue;
  if (findJsonProblem(json, 16) !== undefined || !isStorable(json, spend)) return undefined;
  return json;
}

function namesKeyword(value: JsonValue): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([name, each]) => name === "id" || name.startsWith("$") || namesKeyword(each));
}

/** Counts before it goes deeper; the depth was looked at before. */
function isStorable(value: JsonValue, spend: Spend): boolean {
  spend(1);
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every(
    ([name, each]) => name !== "__proto__" && name.isWellFormed() && isStorable(each, spend),
  );
}

function cut(text: string): string {
  const shown = escapeHidden(text.slice(0, maxTextLength));
  return shown.length <= maxTextLength ? shown : `${shown.slice(0, maxTextLength - 1).toWellFormed()}…`;
}
