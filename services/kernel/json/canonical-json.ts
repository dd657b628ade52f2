/**
 * JSON with one spelling a value, so that it can be hashed and compared: RFC 8785, in which a number that no double holds keeps
 * its digits.
 */
import type { JsonValue } from "@bufbuild/protobuf";
import { isRawNumber } from "./exact-json.ts";

/** @param value Of parseExact, whose raw numbers are spelt already. */
export function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value === null || typeof value !== "object" || isRawNumber(value)) return JSON.stringify(value);
  // By UTF-16 units, as RFC 8785 has it: JavaScript's own order.
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`);
  return `{${members.join(",")}}`;
}
