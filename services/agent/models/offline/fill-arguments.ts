/**
 * Arguments for a tool, from its schema and from what the sentence names.
 *
 * Required properties are filled as well as the words allow; optional ones only when a `name=value` pair names them.
 * What can't be filled is reported, not made up.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Mentions } from "./find-mentions.ts";

export interface FilledArguments {
  readonly arguments: JsonObject;
  /** Required properties that the words say nothing of. */
  readonly missing: readonly string[];
}

/** Values that were named, each used at most once. */
interface Supply {
  readonly pairs: ReadonlyMap<string, string>;
  readonly files: string[];
  readonly folders: string[];
  readonly urls: string[];
  readonly quoted: string[];
  readonly numbers: number[];
  /** What is left of the sentence once the tool's name is taken out; undefined once used. */
  rest: string | undefined;
}

/** `rest` is the sentence without what names the tool: the last resort for a text. */
export function fillArguments(schema: JsonObject, mentions: Mentions, rest: string): FilledArguments {
  const properties = objectOf(schema.properties);
  const required = Array.isArray(schema.required) ? schema.required.map(String) : [];
  const { pairs, files, folders, urls, quoted, numbers } = mentions;
  const supply: Supply = {
    pairs,
    files: [...files],
    folders: [...folders],
    urls: [...urls],
    quoted: quoted.filter((text) => !files.includes(text) && !folders.includes(text)),
    numbers: [...numbers],
    rest: rest.trim() === "" ? undefined : rest.trim(),
  };
  const filled: JsonObject = {};
  const missing: string[] = [];
  // Texts that fit a kind (paths, addresses) choose before those that take what is left.
  const order = [...required].sort((a, b) => eagerness(a) - eagerness(b));
  for (const name of order) {
    const value = valueFor(name, objectOf(properties[name]), supply);
    if (value === undefined) missing.push(name);
    else filled[name] = value;
  }
  for (const [name, given] of pairs) {
    if (!(name in properties) || name in filled) continue;
    const value = readAs(typeOf(objectOf(properties[name])), given);
    if (value !== undefined) filled[name] = value;
  }
  return { arguments: filled, missing };
}

function eagerness(name: string): number {
  return isPathName(name) || isUrlName(name) ? 0 : 1;
}

function valueFor(name: string, property: JsonObject, supply: Supply): JsonValue | undefined {
  const given = supply.pairs.get(name);
  const type = typeOf(property);
  if (given !== undefined) return readAs(type, given);
  if (Array.isArray(property.enum)) {
    const named = property.enum.find((option) =>
      supply.rest?.toLowerCase().includes(JSON.stringify(option).replaceAll('"', "").toLowerCase()),
    );
    return named ?? property.default ?? property.enum[0];
  }
  switch (type) {
    case "number":
    case "integer":
      return supply.numbers.shift() ?? property.default;
    case "boolean":
      return property.default ?? false;
    case "array":
      return arrayFor(name, property, supply);
    case "object":
      return property.default ?? {};
    default:
      return textFor(name, supply) ?? property.default;
  }
}

function textFor(name: string, supply: Supply): string | undefined {
  if (isUrlName(name)) return supply.urls.shift();
  if (isPathName(name)) return supply.files.shift() ?? supply.folders.shift() ?? (isFolderName(name) ? "." : undefined);
  const text = supply.quoted.shift() ?? supply.rest;
  if (text !== undefined && text === supply.rest) supply.rest = undefined;
  return text;
}

function arrayFor(name: string, property: JsonObject, supply: Supply): JsonValue | undefined {
  const items = typeOf(objectOf(property.items));
  if (items === "number" || items === "integer") return supply.numbers.splice(0);
  const paths = isPathName(name) || isPathName(name.replace(/s$/, ""));
  const texts = paths ? supply.files.splice(0) : supply.quoted.splice(0);
  return texts.length > 0 ? texts : property.default;
}

function readAs(type: string, text: string): JsonValue | undefined {
  switch (type) {
    case "number":
    case "integer": {
      const value = Number(text);
      return Number.isNaN(value) ? undefined : value;
    }
    case "boolean":
      return text === "true" || text === "yes" || text === "1";
    case "array":
      return text.split(",");
    case "object":
      return undefined;
    default:
      return text;
  }
}

function isPathName(name: string): boolean {
  return /^(?:.*_)?(?:path|paths|file|files|filename|file_?path|source|destination|dir|directory|folder)$/i.test(name);
}

function isFolderName(name: string): boolean {
  return /path$|dir|folder/i.test(name);
}

function isUrlName(name: string): boolean {
  return /url|uri|href/i.test(name);
}

function typeOf(property: JsonObject): string {
  const type = Array.isArray(property.type) ? property.type.find((one) => one !== "null") : property.type;
  return typeof type === "string" ? type : "string";
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}
