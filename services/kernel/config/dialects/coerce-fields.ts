/**
 * Values in the kinds that the contract wants, where what was meant is clear: numbers as text, one text for a list, a list
 * of `NAME=value` for a map. What is not clear stays, and the strict reader names it.
 */
import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { type ConfigEntry, type ConfigNode, keyPath } from "../reading/config-node.ts";
import type { ServerDraft } from "./server-draft.ts";
import { splitWords } from "./split-words.ts";

export function coerceFields(draft: ServerDraft, fields: ReadonlyMap<string, DescField>): void {
  for (const [key, field] of fields) {
    const value = draft.get(key);
    if (value !== undefined) draft.replace(key, coerce(key, value, field, draft));
  }
}

function coerce(key: string, value: ConfigNode, field: DescField, draft: ServerDraft): ConfigNode {
  switch (field.fieldKind) {
    case "scalar":
      // A command may be a list; it is taken apart afterwards.
      return key === "command" && value.kind === "list"
        ? textItems(key, value.items, value, draft)
        : scalarAs(field.scalar, value);
    case "list":
      return asList(key, value, draft);
    case "map":
      return asMap(key, value, draft);
    default:
      return value;
  }
}

function scalarAs(type: ScalarType, value: ConfigNode): ConfigNode {
  if (value.kind !== "scalar") return value;
  if (type === ScalarType.STRING) return asText(value);
  if (type === ScalarType.BOOL) {
    const word = String(value.value).toLowerCase();
    if (["true", "yes", "on"].includes(word)) return { ...value, value: true };
    return ["false", "no", "off"].includes(word) ? { ...value, value: false } : value;
  }
  const isNumber = typeof value.value === "string" && /^\d{1,15}$/.test(value.value);
  return isNumber ? { ...value, value: Number(value.value) } : value;
}

/** A number or truth as it was written. */
function asText(value: ConfigNode): ConfigNode {
  const isPlain = value.kind === "scalar" && (typeof value.value === "number" || typeof value.value === "boolean");
  return isPlain ? { ...value, value: value.written } : value;
}

function asList(key: string, value: ConfigNode, draft: ServerDraft): ConfigNode {
  if (value.kind === "list") return textItems(key, value.items, value, draft);
  if (value.kind !== "scalar" || typeof value.value !== "string") return value;
  if (key !== "args") return { kind: "list", source: value.source, items: [value] };
  const split = splitWords(value.value);
  if ("problem" in split) {
    draft.fail(key, `it holds ${split.problem}: write a list`, value.source);
    return { kind: "list", source: value.source, items: [] };
  }
  draft.warn(key, `the text is read as a list of ${split.words.length}`, value.source);
  return listOf(split.words, value);
}

export function listOf(words: readonly string[], { source }: ConfigNode): ConfigNode {
  return {
    kind: "list",
    source,
    items: words.map((word) => ({ kind: "scalar", source, value: word, written: JSON.stringify(word) })),
  };
}

function textItems(key: string, items: readonly ConfigNode[], { source }: ConfigNode, draft: ServerDraft): ConfigNode {
  const kept = items.flatMap((item, index): ConfigNode[] => {
    if (item.kind !== "scalar" || item.value !== null) return [asText(item)];
    draft.warn(`${key}[${index}]`, "it has no value and is left out", item.source);
    return [];
  });
  return { kind: "list", source, items: kept };
}

function asMap(key: string, value: ConfigNode, draft: ServerDraft): ConfigNode {
  if (value.kind === "scalar") return value;
  const entries = value.kind === "map" ? value.entries : value.items.map((item, index) => pairOf(item, index));
  if (entries.some((entry) => entry === undefined)) return value;
  const kept = entries.flatMap((entry): ConfigEntry[] => {
    if (entry === undefined) return [];
    if (entry.value.kind === "scalar" && entry.value.value === null) {
      draft.warn(keyPath(key, entry.key), "it has no value and is left out", entry.source);
      return [];
    }
    return [{ ...entry, value: asText(entry.value) }];
  });
  return { kind: "map", source: value.source, entries: kept };
}

/** `NAME=value`, `Name: value` or `{name, value}`. */
function pairOf(item: ConfigNode, _index: number): ConfigEntry | undefined {
  const { source } = item;
  if (item.kind === "map") {
    const find = (...names: string[]) => item.entries.find((entry) => names.includes(entry.key))?.value;
    const name = find("name", "key");
    const value = find("value");
    return name?.kind === "scalar" && value !== undefined ? { key: String(name.value), source, value } : undefined;
  }
  const [, key, text] =
    item.kind === "scalar" ? (/^([^=:\s]+)(?:=|:\s*)([\s\S]*)$/.exec(String(item.value)) ?? []) : [];
  if (key === undefined || text === undefined) return undefined;
  return { key, source, value: { kind: "scalar", source, value: text, written: JSON.stringify(text) } };
}
