/** Reads values out of JSON that somebody else wrote, where anything can stand anywhere. */
import type { JsonValue } from "@bufbuild/protobuf";

export type RawObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is RawObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An own member, so that no name reaches a prototype. */
export function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as RawObject)[name]
    : undefined;
}

/** The members that are there: null counts as absent. */
export function presentEntries(value: RawObject): (readonly [string, unknown])[] {
  return Object.entries(value).filter(([, each]) => each !== null && each !== undefined);
}

/** An object without a way to its prototype: `__proto__` is a name like another. */
export function objectOf(entries: Iterable<readonly [string, JsonValue]>): { [name: string]: JsonValue } {
  return Object.fromEntries(entries);
}
