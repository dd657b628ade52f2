/**
 * How often one value is looked at in the worst place of a schema: `allOf`, `anyOf`, `oneOf`, `not`, `if` and references
 * look at the same value again, and references let that double at every step.
 */
import type { JsonObject } from "@bufbuild/protobuf";
import { isObject } from "./json-parts.ts";

const inPlaceLists = ["allOf", "anyOf", "oneOf"];
const inPlaceSchemas = ["not", "if", "then", "else"];

/** References that look at the same value one behind the other. */
const maxRefChain = 100;

/** Infinity when references lead back without going down, or too far. Visits each subschema once. */
export function weighSchema(root: JsonObject): number {
  const definitions = isObject(root.$defs) ? root.$defs : {};
  const weights = new Map<string, number | "open">();
  const waiting: unknown[] = [];

  let chain = 0;

  function weighRef(ref: string): number {
    const known = weights.get(ref);
    if (known === "open" || chain > maxRefChain) return Number.POSITIVE_INFINITY;
    if (known !== undefined) return known;
    weights.set(ref, "open");
    chain++;
    const weight = weigh(ref === "#" ? root : definitions[ref.replace(/^#\/\$defs\//, "")]);
    chain--;
    weights.set(ref, weight);
    return weight;
  }

  function weigh(schema: unknown): number {
    if (!isObject(schema)) return 1;
    let weight = 1;
    for (const [key, value] of Object.entries(schema)) {
      if (key === "$ref") weight += weighRef(String(value));
      else if (inPlaceSchemas.includes(key)) weight += weigh(value);
      else if (inPlaceLists.includes(key) && Array.isArray(value)) for (const each of value) weight += weigh(each);
      else if (key === "dependentSchemas" && isObject(value))
        for (const each of Object.values(value)) weight += weigh(each);
      else if (key !== "$defs") waiting.push(...childrenOf(key, value));
    }
    return weight;
  }

  let heaviest = weighRef("#");
  for (const name of Object.keys(definitions)) heaviest = Math.max(heaviest, weighRef(`#/$defs/${name}`));
  for (let schema = waiting.pop(); schema !== undefined; schema = waiting.pop())
    heaviest = Math.max(heaviest, weigh(schema));
  return heaviest;
}

const downSchemas = [
  "additionalProperties",
  "unevaluatedProperties",
  "propertyNames",
  "items",
  "unevaluatedItems",
  "contains",
];

/** The subschemas of a keyword that look at parts of the value. */
function childrenOf(key: string, value: unknown): readonly unknown[] {
  if (downSchemas.includes(key)) return [value];
  if (key === "prefixItems" && Array.isArray(value)) return value;
  if ((key === "properties" || key === "patternProperties") && isObject(value)) return Object.values(value);
  return [];
}
