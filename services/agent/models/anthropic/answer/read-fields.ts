/** Reads fields of the API's events: what is not of its kind is as if it were not there. */
import { MalformedAnswer } from "./malformed-answer.ts";

const longestNameChars = 256;

export type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function shortText(value: unknown): string {
  return textOf(value).slice(0, longestNameChars).toWellFormed();
}

export function indexOf(event: Fields): number {
  const { index } = event as { readonly index?: unknown };
  if (typeof index !== "number") throw new MalformedAnswer("an event names no block");
  return index;
}
