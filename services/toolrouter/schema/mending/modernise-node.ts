/**
 * One schema object of any draft with the keywords of JSON Schema 2020-12. Only this object: what stands in its keywords
 * is as it was, so that each part is still known by its identity.
 */
import { isObject, presentEntries, type RawObject } from "../json-parts.ts";

/** Where a null is a value and not an absence. */
const nullIsValue = new Set(["const", "default"]);

/** Names of the document and its parts: references are resolved against the raw document, and need no names afterwards. */
const addressKeywords = [
  "$schema",
  "$id",
  "id",
  "$anchor",
  "$dynamicAnchor",
  "$recursiveAnchor",
  "$vocabulary",
  "$defs",
  "definitions",
];

/** The keywords in the order in which they were written. */
export type Keywords = Map<string, unknown>;

export function moderniseNode(node: RawObject): Keywords {
  const keywords: Keywords = new Map(
    Object.entries(node).filter(([key, value]) => value !== undefined && (value !== null || nullIsValue.has(key))),
  );
  // `id` is a keyword as text alone; in draft 4 and before, nothing else can be meant.
  for (const key of addressKeywords) keywords.delete(key);
  rename(keywords, "$recursiveRef", "$ref");
  rename(keywords, "$dynamicRef", "$ref");
  rename(keywords, "divisibleBy", "multipleOf");
  rename(keywords, "extends", "allOf");
  moderniseItems(keywords);
  moderniseLimit(keywords, "minimum", "exclusiveMinimum");
  moderniseLimit(keywords, "maximum", "exclusiveMaximum");
  moderniseDependencies(keywords);
  moderniseRequired(keywords);
  moderniseNullable(keywords);
  return keywords;
}

function rename(keywords: Keywords, from: string, to: string): void {
  if (!keywords.has(from)) return;
  if (!keywords.has(to)) keywords.set(to, keywords.get(from));
  keywords.delete(from);
}

/** Before 2020-12 a list of schemas was `items`, and what comes behind it `additionalItems`. */
function moderniseItems(keywords: Keywords): void {
  const items = keywords.get("items");
  const rest = keywords.get("additionalItems");
  keywords.delete("additionalItems");
  if (!Array.isArray(items)) return;
  keywords.delete("items");
  if (items.length > 0 && !keywords.has("prefixItems")) keywords.set("prefixItems", items);
  if (rest !== undefined) keywords.set("items", rest);
}

/** Until draft 4 `exclusiveMinimum: true` said of `minimum` that it is exclusive. */
function moderniseLimit(keywords: Keywords, limit: string, exclusive: string): void {
  const flag = keywords.get(exclusive);
  if (typeof flag !== "boolean") return;
  keywords.delete(exclusive);
  if (!flag || !keywords.has(limit)) return;
  keywords.set(exclusive, keywords.get(limit));
  keywords.delete(limit);
}

/** Until draft 7 `dependencies` held both kinds. */
function moderniseDependencies(keywords: Keywords): void {
  const dependencies = keywords.get("dependencies");
  keywords.delete("dependencies");
  if (!isObject(dependencies)) return;
  const entries = presentEntries(dependencies).map(
    ([name, value]) => [name, typeof value === "string" ? [value] : value] as const,
  );
  const add = (keyword: string, chosen: typeof entries): void => {
    const before = keywords.get(keyword);
    const merged = [...chosen, ...(isObject(before) ? presentEntries(before) : [])];
    if (merged.length > 0) keywords.set(keyword, Object.fromEntries(merged));
  };
  add(
    "dependentRequired",
    entries.filter(([, value]) => Array.isArray(value)),
  );
  add(
    "dependentSchemas",
    entries.filter(([, value]) => !Array.isArray(value)),
  );
}

/** In draft 3 `required: true` stood in the property itself. */
function moderniseRequired(keywords: Keywords): void {
  const own = keywords.get("required");
  if (typeof own === "boolean") keywords.delete("required");
  const properties = keywords.get("properties");
  const marked = isObject(properties)
    ? presentEntries(properties).flatMap(([name, value]) => (isObject(value) && value.required === true ? [name] : []))
    : [];
  if (marked.length > 0) keywords.set("required", [...(Array.isArray(own) ? (own as unknown[]) : []), ...marked]);
}

/** OpenAPI 3.0 writes `nullable: true` beside the type. */
function moderniseNullable(keywords: Keywords): void {
  const isNullable = keywords.get("nullable") === true;
  keywords.delete("nullable");
  if (!isNullable) return;
  const type = keywords.get("type");
  const [list, anyOf, oneOf] = [keywords.get("enum"), keywords.get("anyOf"), keywords.get("oneOf")];
  if (typeof type === "string" || Array.isArray(type)) keywords.set("type", [...[type].flat(), "null"]);
  if (Array.isArray(list)) keywords.set("enum", [...(list as unknown[]), null]);
  if (Array.isArray(anyOf)) keywords.set("anyOf", [...(anyOf as unknown[]), nullSchema]);
  else if (Array.isArray(oneOf)) keywords.set("oneOf", [...(oneOf as unknown[]), nullSchema]);
  else if (keywords.has("$ref") && type === undefined) {
    keywords.set("anyOf", [{ $ref: keywords.get("$ref") }, nullSchema]);
    keywords.delete("$ref");
  }
}

const nullSchema = { type: "null" };
