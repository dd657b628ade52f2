/** The standard rules of lists and maps, and of what stands in them. */
import { type DescField, type DescMessage, isFieldSet, ScalarType } from "@bufbuild/protobuf";
import {
  type FieldRules,
  Ignore,
  type MapRules,
  MapRulesSchema,
  type RepeatedRules,
  RepeatedRulesSchema,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { hasOnly, hasRulesOfOwn, notKnown, ruleTypeOf, valueCheckOf } from "./value-rules.ts";
import { type Check, ofValue } from "./walk.ts";

type List = DescField & { fieldKind: "list" };
type MapField = DescField & { fieldKind: "map" };

/** What a message inside has to keep. */
type InsideCheck = (schema: DescMessage, rules: FieldRules | undefined) => Check | undefined;

const knownOfLists = new Set(["minItems", "maxItems", "unique", "items"]);

/** Undefined when there is nothing to look at. */
export function listCheck(field: List, rules: FieldRules | undefined, inside: InsideCheck): Check | undefined {
  const list = rules?.type.case === "repeated" ? rules.type.value : undefined;
  if (isOfAnotherKind(rules, list) || (list !== undefined && !hasOnly(RepeatedRulesSchema, list, knownOfLists)))
    return notKnown;
  const isUnique = list?.unique === true;
  // Messages and bytes are no values that `===` compares.
  if (isUnique && (field.listKind === "message" || (field.listKind === "scalar" && field.scalar === ScalarType.BYTES)))
    return notKnown;
  const item = entryCheck(field, list?.items, inside);
  if (list === undefined && item === undefined) return undefined;
  const { fewest, most } = listBounds(list);
  return (value, walk) => {
    const items = value as readonly unknown[];
    if (items.length < fewest) walk.tell(`must contain at least ${fewest} item(s)`);
    if (items.length > most) walk.tell(`must contain no more than ${most} item(s)`);
    if (isUnique && new Set(items).size < items.length) walk.tell("repeated value must contain unique items");
    if (item === undefined) return;
    for (let index = 0; index < items.length; index++) {
      walk.enter(index);
      item(items[index], walk);
      walk.leave();
    }
  };
}

function listBounds(list: RepeatedRules | undefined): { fewest: number; most: number } {
  const { minItems, maxItems } = RepeatedRulesSchema.field;
  return {
    fewest: list !== undefined && isFieldSet(list, minItems) ? Number(list.minItems) : 0,
    most: list !== undefined && isFieldSet(list, maxItems) ? Number(list.maxItems) : Number.POSITIVE_INFINITY,
  };
}

const knownOfMaps = new Set(["minPairs", "maxPairs", "keys", "values"]);

/** Undefined when there is nothing to look at. */
export function mapCheck(field: MapField, rules: FieldRules | undefined, inside: InsideCheck): Check | undefined {
  const map = rules?.type.case === "map" ? rules.type.value : undefined;
  if (isOfAnotherKind(rules, map) || (map !== undefined && !hasOnly(MapRulesSchema, map, knownOfMaps))) return notKnown;
  const key = keyCheck(field, map?.keys);
  const content = entryCheck(field, map?.values, inside);
  if (map === undefined && content === undefined) return undefined;
  // Only these stand in a message as they are.
  if (field.mapKey !== ScalarType.STRING) return notKnown;
  const { fewest, most } = mapBounds(map);
  return (value, walk) => {
    const pairs = Object.entries(value as Readonly<Record<string, unknown>>);
    if (pairs.length < fewest) walk.tell(`map must be at least ${fewest} entries`);
    if (pairs.length > most) walk.tell(`map must be at most ${most} entries`);
    if (key === undefined && content === undefined) return;
    for (const [name, each] of pairs) {
      walk.enter({ key: name });
      key?.(name, walk);
      content?.(each, walk);
      walk.leave();
    }
  };
}

function keyCheck(field: MapField, rules: FieldRules | undefined): Check | undefined {
  if (rules !== undefined && isMoreThanRules(rules)) return notKnown;
  return ofValue(valueCheckOf(rules, ruleTypeOf(field.mapKey), field));
}

function mapBounds(map: MapRules | undefined): { fewest: number; most: number } {
  const { minPairs, maxPairs } = MapRulesSchema.field;
  return {
    fewest: map !== undefined && isFieldSet(map, minPairs) ? Number(map.minPairs) : 0,
    most: map !== undefined && isFieldSet(map, maxPairs) ? Number(map.maxPairs) : Number.POSITIVE_INFINITY,
  };
}

/** What an item of a list, or a value of a map, has to keep. */
function entryCheck(field: List | MapField, rules: FieldRules | undefined, inside: InsideCheck): Check | undefined {
  if (rules !== undefined && isMoreThanRules(rules)) return notKnown;
  if (field.message !== undefined) return inside(field.message, rules);
  if (field.enum !== undefined) return ofValue(valueCheckOf(rules, "enum", field));
  return field.scalar === undefined ? undefined : ofValue(valueCheckOf(rules, ruleTypeOf(field.scalar), field));
}

/** Whether a field has rules, and not those of its kind alone. */
function isOfAnotherKind(rules: FieldRules | undefined, ofKind: object | undefined): boolean {
  return rules !== undefined && (hasRulesOfOwn(rules) || (rules.type.case !== undefined && ofKind === undefined));
}

/** Whether what stands in lists and maps is required, or sometimes ignored. */
function isMoreThanRules({ ignore, required }: FieldRules): boolean {
  return ignore !== Ignore.UNSPECIFIED || required;
}
