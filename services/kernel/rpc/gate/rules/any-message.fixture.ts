/** Random messages of any type, good and bad by the rules of their fields: at the bounds, a little outside, far outside, left out. */
import {
  create,
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { type FieldRules, field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { Random } from "../../../../../test/chaos/random.ts";

/**
 * @param inside What it stands in: no message stands in one of its own type, because protovalidate forgets the rules there
 *   (the plan of a message that is being made counts as empty to what it contains, and is left out).
 */
export function anyMessage(schema: DescMessage, random: Random, inside: readonly DescMessage[] = []): Message {
  const around = [...inside, schema];
  const init: Record<string, unknown> = {};
  for (const field of schema.fields) {
    // Two of three are left out, so that what is wrong is seldom hidden behind other faults.
    if (random.between(0, 2) > 0 || (field.message !== undefined && around.includes(field.message))) continue;
    const value = anyContent(field, random, around);
    if (field.oneof === undefined) init[field.localName] = value;
    else init[field.oneof.localName] = { case: field.localName, value };
  }
  return create(schema, init as never);
}

function anyContent(field: DescField, random: Random, around: readonly DescMessage[]): unknown {
  const rules = hasOption(field, fieldRules) ? getOption(field, fieldRules) : undefined;
  switch (field.fieldKind) {
    case "message":
      return anyMessage(field.message, random, around);
    case "list": {
      const list = rules?.type.case === "repeated" ? rules.type.value : undefined;
      const count = random.pick([
        0,
        1,
        2,
        Number(list?.minItems ?? 0),
        Number(list?.maxItems ?? 3) + random.between(0, 1),
      ]);
      return Array.from({ length: Math.min(count, 70) }, () => anyEntry(field, list?.items, random, around));
    }
    case "map": {
      const map = rules?.type.case === "map" ? rules.type.value : undefined;
      const count = random.pick([0, 1, 2, Math.min(Number(map?.maxPairs ?? 3), 70) + random.between(0, 1)]);
      const pairs = Array.from({ length: count }, (_, index) => [
        `${anyScalar(field.mapKey, map?.keys, random) as string}${random.pick(["", String(index)])}`,
        anyEntry(field, map?.values, random, around),
      ]);
      return Object.fromEntries(pairs) as unknown;
    }
    default:
      return anyEntry(field, rules, random, around);
  }
}

function anyEntry(
  field: DescField,
  rules: FieldRules | undefined,
  random: Random,
  around: readonly DescMessage[],
): unknown {
  if (field.message !== undefined) return anyMessage(field.message, random, around);
  if (field.enum !== undefined) return random.pick([0, 1, 99, ...field.enum.values.map(({ number }) => number)]);
  return anyScalar(field.scalar ?? ScalarType.STRING, rules, random);
}

const words = ["", "a", "A", "-", "x y", "é", "😀😀😀", "\ud800", 'a"\\b\r\n', "main", "anthropic/claude", "a.b.c"];
const beginnings = ["", "ses_", "run_", "msg_", "log_", "req_", "apr_", "que_", "call_", "agent:main:", "sha256:"];

function anyScalar(scalar: ScalarType, rules: FieldRules | undefined, random: Random): unknown {
  switch (scalar) {
    case ScalarType.STRING: {
      const of = rules?.type.case === "string" ? rules.type.value : undefined;
      if (of !== undefined && of.in.length > 0 && random.chance(0.5)) return random.pick([...of.in]);
      const bounds = [of?.maxLen, of?.maxBytes, of?.minLen].map((bound) => Math.min(Number(bound ?? 0), 40_000));
      const length = random.pick([1, 26, 64, 65, 128, 129, ...bounds, ...bounds.map((bound) => bound + 1)]);
      const long = random.pick(["a", "0", "é", "😀"]).repeat(length);
      return random.pick([...words, `${random.pick(beginnings)}${long}`, long, `${random.pick(beginnings)}01ABC`]);
    }
    case ScalarType.BYTES:
      return new Uint8Array(random.pick([0, 1, 31, 32, 33, 64, 65, 1025, 70_000]));
    case ScalarType.BOOL:
      return random.chance(0.5);
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return random.pick([0, 1, -1, 0.5, 2, Number.NaN, Number.POSITIVE_INFINITY]);
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return BigInt(anyNumber(rules, random));
    default:
      return anyNumber(rules, random);
  }
}

function anyNumber(rules: FieldRules | undefined, random: Random): number {
  const of = rules?.type.value as { lessThan?: { value?: unknown }; greaterThan?: { value?: unknown } } | undefined;
  const bounds = [of?.lessThan?.value, of?.greaterThan?.value].filter((bound) => bound !== undefined).map(Number);
  return Math.max(0, random.pick([0, 1, 2, 1000, 4_000_000_000, ...bounds.flatMap((at) => [at - 1, at, at + 1])]));
}
