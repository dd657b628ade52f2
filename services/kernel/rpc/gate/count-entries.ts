/**
 * Bounds how many entries the lists, maps and structures of a request have, before their rules are looked at one by one.
 *
 * Keeps L6: the bounds stand in the contract (`max_items`, `max_pairs`). What carries no rule of ours has a bound here: the
 * structures and masks of google.protobuf, and lists of events, which are bounded by their size.
 */
import {
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { FieldProblem } from "../../errors.ts";
import { contentOf } from "./rules/field-content.ts";

/** Values of one google.protobuf.Struct in all, and how deep they stand: no decoder of Protobuf reads deeper ones. */
const maxStructValues = 10_000;
const maxStructDepth = 32;
/** Paths of a mask: far more than any message has fields. */
const maxMaskPaths = 64;
/** Entries of a list or map that states no bound. */
const maxUnstated = 65_536;

interface CountedField {
  readonly field: DescField;
  /** Entries; undefined for a single message. */
  readonly max: number | undefined;
  /** The message inside, when it has something to count. */
  readonly inner: DescMessage | undefined;
}

const counted = new WeakMap<DescMessage, readonly CountedField[]>();

/** The first problem, in the order of the fields; undefined when there is none. */
export function findTooMany(schema: DescMessage, message: Message, path = ""): FieldProblem | undefined {
  for (const { field, max, inner } of countedOf(schema)) {
    const value = contentOf(message, field);
    if (value === undefined || value === null) continue;
    const at = path === "" ? field.name : `${path}.${field.name}`;
    const problem =
      problemOf(field, value, max) ?? (inner === undefined ? undefined : findInside(inner, field, value, at));
    if (typeof problem === "string") return { path: at, problem };
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** The bound of a list or map; undefined for what is none. */
export function maxEntriesOf(field: DescField): number | undefined {
  if (field.fieldKind !== "list" && field.fieldKind !== "map") return undefined;
  const stated = hasOption(field, fieldRules) ? getOption(field, fieldRules).type : undefined;
  if (stated?.case === "repeated") return Number(stated.value.maxItems) || undefined;
  if (stated?.case === "map") return Number(stated.value.maxPairs) || undefined;
  return field.parent.typeName === "google.protobuf.FieldMask" ? maxMaskPaths : undefined;
}

function countedOf(schema: DescMessage): readonly CountedField[] {
  const known = counted.get(schema);
  if (known !== undefined) return known;
  const fields: CountedField[] = [];
  // Before its fields: a message may contain itself.
  counted.set(schema, fields);
  for (const field of schema.fields) {
    const isMany = field.fieldKind === "list" || field.fieldKind === "map";
    const inner =
      field.message !== undefined && (isStruct(field) || !isEmpty(field.message)) ? field.message : undefined;
    if (isMany || inner !== undefined)
      fields.push({ field, max: isMany ? (maxEntriesOf(field) ?? maxUnstated) : undefined, inner });
  }
  return fields;
}

function isEmpty(schema: DescMessage): boolean {
  return countedOf(schema).length === 0 && schema.fields.every((field) => field.message === undefined);
}

function isStruct({ message }: DescField): boolean {
  return message?.typeName === "google.protobuf.Struct";
}

function problemOf(field: DescField, value: unknown, max: number | undefined): string | undefined {
  if (max === undefined) return undefined;
  const entries =
    field.fieldKind === "list" ? (value as readonly unknown[]).length : Object.keys(value as object).length;
  return entries > max ? `has ${entries} entries, and ${max} are the most` : undefined;
}

function findInside(inner: DescMessage, field: DescField, value: unknown, at: string): FieldProblem | undefined {
  const find = (each: unknown, where: string): FieldProblem | undefined => {
    if (!isStruct(field)) return findTooMany(inner, each as Message, where);
    const problem = structProblem(each as JsonValue);
    return problem === undefined ? undefined : { path: where, problem };
  };
  switch (field.fieldKind) {
    case "list":
      for (const [index, each] of (value as readonly unknown[]).entries()) {
        const problem = find(each, `${at}[${index}]`);
        if (problem !== undefined) return problem;
      }
      return undefined;
    case "map":
      for (const each of Object.values(value as object)) {
        const problem = find(each, at);
        if (problem !== undefined) return problem;
      }
      return undefined;
    default:
      return find(value, at);
  }
}

function structProblem(value: JsonValue): string | undefined {
  const count = { left: maxStructValues };
  return countValues(value, count, 0);
}

function countValues(value: JsonValue, count: { left: number }, depth: number): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (depth >= maxStructDepth) return `is nested deeper than ${maxStructDepth} levels`;
  const inner = Array.isArray(value) ? value : Object.values(value);
  count.left -= inner.length;
  if (count.left < 0) return `has more than ${maxStructValues} values in all`;
  for (const each of inner) {
    const problem = countValues(each, count, depth + 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
