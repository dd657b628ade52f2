/**
 * What callers hand to the log becomes plain, small and harmless values here.
 *
 * Keeps L7: a field is at most about 1 KiB, 6 levels and 64 keys or items a level; each cut is marked (L9). Values under
 * a secret name are redacted at any level. Never throws: a value that can't be read is named as such.
 */
import { isSecretName, redacted } from "./secret-names.ts";
import { cutText } from "./visible-text.ts";

const maxFieldBytes = 1024;
const maxEntries = 64;
const maxDepth = 6;
const maxFrames = 8;

/** Names that the log line itself uses. */
const reservedNames = new Set(["level", "time", "msg"]);

/** What is left of the bytes of one field. */
interface Budget {
  bytes: number;
}

/** The message, at most 1 KiB. */
export function boundMessage(message: string): string {
  return cutText(message, maxFieldBytes);
}

/** The fields with every value bounded, redacted and free of anything that JSON can't carry. */
export function boundFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return boundEntries(Object.entries(fields), (key, value) => [
    reservedNames.has(key) ? `${key}_` : key,
    boundValue(value, 1, { bytes: maxFieldBytes }),
  ]);
}

function boundEntries(
  entries: readonly (readonly [string, unknown])[],
  bound: (key: string, value: unknown) => readonly [string, unknown],
): Record<string, unknown> {
  const kept = entries.slice(0, maxEntries).map(([key, value]) => {
    const [name, bounded] = bound(key, value);
    return [name, isSecretName(key) && value !== undefined ? redacted : bounded] as const;
  });
  const rest = entries.length - kept.length;
  return Object.fromEntries(rest > 0 ? [...kept, ["…", `${rest} more cut`]] : kept);
}

function boundValue(value: unknown, depth: number, budget: Budget): unknown {
  switch (typeof value) {
    case "string":
      return spendText(value, budget);
    case "bigint":
      return spendText(String(value), budget);
    case "number":
    case "boolean":
      budget.bytes -= 8;
      return Number.isNaN(value) || value === Infinity || value === -Infinity ? String(value) : value;
    case "undefined":
      return undefined;
    case "symbol":
    case "function":
      return spendText(`[${typeof value}]`, budget);
    case "object":
      return value === null ? null : boundObject(value, depth, budget);
  }
}

function boundObject(value: object, depth: number, budget: Budget): unknown {
  if (depth > maxDepth || budget.bytes <= 0) return "…[cut]";
  try {
    if (value instanceof Error) return describeError(value, depth);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? "[invalid date]" : value.toISOString();
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (value instanceof URL) return spendText(value.href, budget);
    if (Array.isArray(value) || value instanceof Set) return boundItems([...value], depth, budget);
    const entries =
      value instanceof Map ? [...value].map(([key, item]) => [String(key), item] as const) : entriesOf(value);
    return boundEntries(entries, (key, item) => [spendText(key, budget), boundValue(item, depth + 1, budget)]);
  } catch {
    return "[unreadable]";
  }
}

function entriesOf(value: object): (readonly [string, unknown])[] {
  return Object.entries(value);
}

function boundItems(items: readonly unknown[], depth: number, budget: Budget): unknown[] {
  const kept: unknown[] = [];
  for (const item of items) {
    if (kept.length === maxEntries || budget.bytes <= 0) {
      kept.push(`…[${items.length - kept.length} items cut]`);
      break;
    }
    kept.push(boundValue(item, depth + 1, budget));
  }
  return kept;
}

/** An error as fields of its own, each with its own bytes: the frames must not push out the message. */
function describeError(error: Error, depth: number): Record<string, unknown> {
  const code = "code" in error ? boundValue(error.code, depth + 1, { bytes: 64 }) : undefined;
  const frames = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  return {
    name: cutText(error.name, 64),
    message: cutText(error.message, maxFieldBytes),
    ...(code === undefined ? {} : { code }),
    ...(error.cause === undefined ? {} : { cause: boundValue(error.cause, depth + 1, { bytes: maxFieldBytes }) }),
    stack: boundItems(
      frames.slice(0, maxFrames).map((line) => line.trim()),
      depth,
      { bytes: maxFieldBytes },
    ),
  };
}

function spendText(text: string, budget: Budget): string {
  if (text.length === 0) return text;
  const kept = budget.bytes <= 0 ? `…[${Buffer.byteLength(text)} bytes cut]` : cutText(text, budget.bytes);
  budget.bytes -= Buffer.byteLength(text);
  return kept;
}
