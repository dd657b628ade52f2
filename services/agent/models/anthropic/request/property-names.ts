/**
 * Parameter names for an API that takes only `^[a-zA-Z0-9_.-]{1,64}$`, wherever a schema names one.
 *
 * Keeps: a name has the same alias in every request, whatever else the tool has (the maker's prompt cache depends on it),
 * no two names of a tool share one, and what is legal stays as it is. The alias is readable and ends in a digest of the
 * name, so that no parameter is called so by chance; where one is, the digest grows. The description of a parameter says
 * its real name. Patterns of names (`patternProperties`) are no names and stay.
 */
import { createHash } from "node:crypto";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isRawNumber } from "../../../../kernel/json/exact-json.ts";

const legalName = /^[a-zA-Z0-9_.-]{1,64}$/;
const digestLength = 8;
const longestReadable = 40;

/** Keywords whose value is a map from names of parameters to schemas. */
const namedSchemas: ReadonlySet<string> = new Set(["properties", "dependentSchemas"]);
/** Keywords whose value is a map from any other key to schemas. */
const keyedSchemas: ReadonlySet<string> = new Set(["$defs", "definitions", "patternProperties"]);
/** Keywords whose value is one of the arguments' values. */
const values: ReadonlySet<string> = new Set(["default", "const", "enum", "examples", "example"]);

export interface PropertyNames {
  /** The schema with legal names. The given one when all of them are. */
  readonly schema: JsonObject;
  /** Whether any name was changed. */
  readonly changed: boolean;
  /** Arguments by the tool's names → by the API's. */
  toApi(args: JsonObject): JsonObject;
  /** Arguments by the API's names → by the tool's. */
  fromApi(args: JsonObject): JsonObject;
}

/** A list of tools is used for more than one call. */
const known = new WeakMap<JsonObject, PropertyNames>();

/** Gives the legal names of one tool. */
export function legalPropertyNames(schema: JsonObject): PropertyNames {
  const names = known.get(schema) ?? findNames(schema);
  known.set(schema, names);
  return names;
}

function findNames(schema: JsonObject): PropertyNames {
  const names = new Set<string>();
  collectNames(schema, names);
  const illegal = [...names].filter((name) => !legalName.test(name));
  if (illegal.length === 0) return { schema, changed: false, toApi: same, fromApi: same };
  const aliases = new Map<string, string>();
  const taken = new Set(names);
  for (const name of illegal.sort()) {
    const alias = freeAlias(name, taken);
    taken.add(alias);
    aliases.set(name, alias);
  }
  const originals = new Map([...aliases].map(([name, alias]) => [alias, name]));
  return {
    schema: renameSchema(schema, aliases) as JsonObject,
    changed: true,
    toApi: (args) => renameKeys(args, aliases) as JsonObject,
    fromApi: (args) => renameKeys(args, originals) as JsonObject,
  };
}

function same(args: JsonObject): JsonObject {
  return args;
}

function freeAlias(name: string, taken: ReadonlySet<string>): string {
  const digest = createHash("sha256").update(name).digest("hex");
  const readable = name
    .replace(/[^a-zA-Z0-9_.-]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .slice(0, longestReadable);
  const stem = readable === "" ? "parameter" : readable;
  for (let length = digestLength; ; length++) {
    const alias = `${stem.slice(0, 63 - length)}_${digest.slice(0, length)}`;
    // Sixty-four digits are more than a schema has names that end in them.
    if (!taken.has(alias) || length >= 62) return alias;
  }
}

function collectNames(schema: JsonValue | undefined, names: Set<string>): void {
  if (!isObject(schema)) return;
  for (const [keyword, value] of Object.entries(schema)) {
    if (values.has(keyword)) continue;
    if (namedSchemas.has(keyword) && isObject(value)) {
      for (const name of Object.keys(value)) names.add(name);
      for (const each of Object.values(value)) collectNames(each, names);
    } else if (keyedSchemas.has(keyword) || isDependencies(keyword)) {
      if (isObject(value)) for (const each of Object.values(value)) collectNames(each, names);
    } else if (Array.isArray(value)) {
      for (const each of value) collectNames(each, names);
    } else collectNames(value, names);
  }
}

/** `dependentRequired`, and `dependencies` of the older drafts: from names to names, or to schemas. */
function isDependencies(keyword: string): boolean {
  return keyword === "dependentRequired" || keyword === "dependencies";
}

type Names = ReadonlyMap<string, string>;

function renameSchema(schema: JsonValue, names: Names): JsonValue {
  if (Array.isArray(schema)) return schema.map((each) => renameSchema(each, names));
  if (!isObject(schema)) return schema;
  return mapObject(schema, (keyword, value) => [keyword, renameKeyword(keyword, value, names)]);
}

function renameKeyword(keyword: string, value: JsonValue, names: Names): JsonValue {
  if (values.has(keyword)) return renameKeys(value, names);
  if (keyword === "required") return renameList(value, names);
  if (keyword === "$ref" || keyword === "$dynamicRef")
    return typeof value === "string" ? renameRef(value, names) : value;
  if (keyword === "propertyNames") return renameNamesSchema(value, names);
  if (!isObject(value)) return renameSchema(value, names);
  if (namedSchemas.has(keyword)) {
    return mapObject(value, (name, each) => [
      names.get(name) ?? name,
      describe(name, renameSchema(each, names), names),
    ]);
  }
  if (isDependencies(keyword)) {
    return mapObject(value, (name, each) => [
      names.get(name) ?? name,
      Array.isArray(each) ? renameList(each, names) : renameSchema(each, names),
    ]);
  }
  if (keyedSchemas.has(keyword)) return mapObject(value, (key, each) => [key, renameSchema(each, names)]);
  return renameSchema(value, names);
}

/** A parameter that has an alias says what it is called. */
function describe(name: string, schema: JsonValue, names: Names): JsonValue {
  if (!names.has(name) || schema === false) return schema;
  const given = isObject(schema) ? schema : {};
  const said = typeof given["description"] === "string" ? ` ${given["description"]}` : "";
  return { ...given, description: `The tool calls this parameter ${JSON.stringify(name)}.${said}` };
}

function renameList(value: JsonValue, names: Names): JsonValue {
  if (!Array.isArray(value)) return value;
  return value.map((each) => (typeof each === "string" ? (names.get(each) ?? each) : each));
}

/** A schema of names: those that it lists are names, not values. */
function renameNamesSchema(schema: JsonValue, names: Names): JsonValue {
  if (!isObject(schema)) return schema;
  return mapObject(schema, (keyword, value) => {
    if (keyword === "enum") return [keyword, renameList(value, names)];
    if (keyword === "const" && typeof value === "string") return [keyword, names.get(value) ?? value];
    return [keyword, renameSchema(value, names)];
  });
}

/** A JSON pointer goes through maps of parameters by their names. */
function renameRef(ref: string, names: Names): string {
  if (!ref.startsWith("#/")) return ref;
  const steps = ref.slice(2).split("/");
  const renamed = steps.map((step, index) => {
    if (!namedSchemas.has(steps[index - 1] ?? "")) return step;
    const alias = names.get(pointerName(step));
    return alias ?? step;
  });
  return `#/${renamed.join("/")}`;
}

function pointerName(step: string): string {
  try {
    return decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
  } catch {
    return step;
  }
}

function renameKeys(value: JsonValue, names: Names): JsonValue {
  if (Array.isArray(value)) return value.map((each) => renameKeys(each, names));
  if (!isObject(value)) return value;
  return mapObject(value, (key, each) => [names.get(key) ?? key, renameKeys(each, names)]);
}

function mapObject(value: JsonObject, change: (key: string, value: JsonValue) => [string, JsonValue]): JsonObject {
  // A key such as __proto__ stays a key.
  return Object.fromEntries(Object.entries(value).map(([key, each]) => change(key, each)));
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isRawNumber(value);
}
