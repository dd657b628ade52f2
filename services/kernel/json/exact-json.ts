/**
 * JSON whose numbers keep their digits: ids of 64 bits, amounts with many places.
 *
 * A number that a double holds as it is written is a number. Another one is a `RawNumber`, which JSON.stringify writes as its
 * own digits; whoever walks such a value asks `isRawNumber` before it looks into an object.
 */
import type { JsonValue } from "@bufbuild/protobuf";
import { formatDecimal } from "./format-decimal.ts";

/** What JSON.rawJSON makes: an object without a prototype, frozen. */
export interface RawNumber {
  readonly rawJSON: string;
}

/** A part of ECMAScript 2026 that TypeScript's libraries do not have yet. */
interface ExactJson {
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): value is RawNumber;
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
}

const exactJson = JSON as unknown as ExactJson;

/** Sixteen digits in a row, a point among them or not: fewer are never lost. Or an exponent, which may be too large. */
const mayBeLost = /\d(?:\.?\d){15}|\d[eE]/;

/** Throws SyntaxError, as JSON.parse does, and RangeError for an exponent that formatDecimal does not take. */
export function parseExact(text: string): JsonValue {
  if (!mayBeLost.test(text)) return JSON.parse(text) as JsonValue;
  return exactJson.parse(text, (_key, value, { source }) => {
    if (typeof value !== "number" || source === undefined) return value;
    const exact = formatDecimal(source);
    return exact === formatDecimal(String(value)) ? value : exactJson.rawJSON(exact);
  }) as JsonValue;
}

/** Whether a value is a number that no double holds. */
export function isRawNumber(value: unknown): value is RawNumber {
  return exactJson.isRawJSON(value);
}

/** The same with doubles in the place of raw numbers: for a check of ranges, not to be passed on. */
export function roundNumbers(value: JsonValue): JsonValue {
  if (typeof value !== "object" || value === null) return value;
  if (isRawNumber(value)) return Number(value.rawJSON);
  if (Array.isArray(value)) return value.map(roundNumbers);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, roundNumbers(each)]));
}
