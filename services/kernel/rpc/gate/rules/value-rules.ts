/**
 * The standard rules of one value (buf/validate/validate.proto), those of them that the contracts have; told in protovalidate's
 * words. What stands here is compared with protovalidate over all contracts (rules.test.ts).
 */
import { type DescField, type DescMessage, isFieldSet, type Message, ScalarType } from "@bufbuild/protobuf";
import {
  BytesRulesSchema,
  EnumRulesSchema,
  type FieldRules,
  Int32RulesSchema,
  Int64RulesSchema,
  StringRulesSchema,
  UInt32RulesSchema,
  UInt64RulesSchema,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { matchPattern } from "./match-pattern.ts";
import type { ValueCheck } from "./walk.ts";

/** A rule that only protovalidate knows: its answer is asked for the whole message. */
export class RuleNotKnown extends Error {
  override name = "RuleNotKnown";
}

export function notKnown(): never {
  throw new RuleNotKnown();
}

/**
 * What a scalar or an enum has to keep; undefined when there is nothing.
 *
 * @param type The kind of the value, as the rules name it: "string", "uint32", "enum" …
 */
export function valueCheckOf(
  rules: FieldRules | undefined,
  type: string,
  field: DescField,
): ValueCheck<unknown> | undefined {
  if (rules === undefined) return undefined;
  if (hasRulesOfOwn(rules) || (rules.type.case !== undefined && rules.type.case !== type)) return notKnown;
  switch (rules.type.case) {
    case undefined:
      return undefined;
    case "string":
      return hasOnly(StringRulesSchema, rules.type.value, knownOfStrings)
        ? (stringCheck(rules.type.value) as ValueCheck<unknown>)
        : notKnown;
    case "bytes":
      return hasOnly(BytesRulesSchema, rules.type.value, knownOfBytes)
        ? (bytesCheck(rules.type.value) as ValueCheck<unknown>)
        : notKnown;
    case "enum":
      return hasOnly(EnumRulesSchema, rules.type.value, knownOfEnums)
        ? (enumCheck(rules.type.value, field) as ValueCheck<unknown>)
        : notKnown;
    case "int32":
    case "int64":
    case "uint32":
    case "uint64":
      return hasOnly(numberRules[rules.type.case], rules.type.value, knownOfNumbers)
        ? (rangeCheck(rules.type.value) as ValueCheck<unknown>)
        : notKnown;
    default:
      return notKnown;
  }
}

/** As `FieldRules.type` names the kind of a scalar. */
export function ruleTypeOf(scalar: ScalarType): string {
  return ScalarType[scalar].toLowerCase();
}

/** Whether a field has rules in CEL, or ones of a newer protovalidate. */
export function hasRulesOfOwn(rules: FieldRules): boolean {
  return rules.cel.length > 0 || rules.celExpression.length > 0 || hasUnknown(rules);
}

/** Whether no rule is stated but these. */
export function hasOnly(schema: DescMessage, rules: Message, known: ReadonlySet<string>): boolean {
  if (hasUnknown(rules)) return false;
  return schema.fields.every((field) => known.has(field.localName) || !isFieldSet(rules, field));
}

function hasUnknown({ $unknown }: Message): boolean {
  return $unknown !== undefined && $unknown.length > 0;
}

const numberRules = {
  int32: Int32RulesSchema,
  int64: Int64RulesSchema,
  uint32: UInt32RulesSchema,
  uint64: UInt64RulesSchema,
};

type RulesOf<Case> = Extract<FieldRules["type"], { case: Case }>["value"];

const knownOfStrings = new Set(["minLen", "maxLen", "minBytes", "maxBytes", "pattern", "in", "notIn"]);

function stringCheck(rules: RulesOf<"string">): ValueCheck<string> {
  const { minLen, maxLen, minBytes, maxBytes, pattern, in: allowed, notIn } = rules;
  const isSet = (name: keyof typeof StringRulesSchema.field): boolean =>
    isFieldSet(rules, StringRulesSchema.field[name]);
  const checks: ValueCheck<string>[] = [];
  // A text has at most as many characters as code units: most need not be counted.
  if (isSet("minLen"))
    checks.push((text, tell) => void (charactersOf(text) < minLen && tell(`must be at least ${minLen} characters`)));
  if (isSet("maxLen"))
    checks.push((text, tell) => {
      if (text.length > maxLen && charactersOf(text) > maxLen) tell(`must be at most ${maxLen} characters`);
    });
  if (isSet("minBytes"))
    checks.push(
      (text, tell) => void (Buffer.byteLength(text) < minBytes && tell(`must be at least ${minBytes} bytes`)),
    );
  if (isSet("maxBytes"))
    checks.push((text, tell) => void (Buffer.byteLength(text) > maxBytes && tell(`must be at most ${maxBytes} bytes`)));
  if (isSet("pattern"))
    checks.push((text, tell) => {
      if (!matchPattern(pattern, text)) tell(`does not match regex pattern \`${pattern}\``);
    });
  if (allowed.length > 0)
    checks.push((text, tell) => void (allowed.includes(text) || tell(`must be in list [${allowed.join(", ")}]`)));
  if (notIn.length > 0)
    checks.push((text, tell) => void (notIn.includes(text) && tell(`must not be in list [${notIn.join(", ")}]`)));
  return all(checks);
}

const knownOfBytes = new Set(["len", "minLen", "maxLen"]);

function bytesCheck(rules: RulesOf<"bytes">): ValueCheck<Uint8Array> {
  const { len, minLen, maxLen } = rules;
  const isSet = (name: "len" | "minLen" | "maxLen"): boolean => isFieldSet(rules, BytesRulesSchema.field[name]);
  const checks: ValueCheck<Uint8Array>[] = [];
  if (isSet("len")) checks.push(({ length }, tell) => void (BigInt(length) !== len && tell(`must be ${len} bytes`)));
  if (isSet("minLen"))
    checks.push(({ length }, tell) => void (length < minLen && tell(`must be at least ${minLen} bytes`)));
  if (isSet("maxLen"))
    checks.push(({ length }, tell) => void (length > maxLen && tell(`must be at most ${maxLen} bytes`)));
  return all(checks);
}

const knownOfEnums = new Set(["definedOnly", "in", "notIn"]);

function enumCheck(rules: RulesOf<"enum">, { enum: type }: DescField): ValueCheck<number> {
  const { definedOnly, in: allowed, notIn } = rules;
  const checks: ValueCheck<number>[] = [];
  if (definedOnly && type !== undefined) {
    const defined = new Set(type.values.map(({ number }) => number));
    checks.push((value, tell) => void (defined.has(value) || tell("value must be one of the defined enum values")));
  }
  if (allowed.length > 0)
    checks.push((value, tell) => void (allowed.includes(value) || tell(`must be in list [${allowed.join(", ")}]`)));
  if (notIn.length > 0)
    checks.push((value, tell) => void (notIn.includes(value) && tell(`must not be in list [${notIn.join(", ")}]`)));
  return all(checks);
}

const knownOfNumbers = new Set(["lt", "lte", "gt", "gte"]);

type NumberRules = RulesOf<"int32"> | RulesOf<"int64"> | RulesOf<"uint32"> | RulesOf<"uint64">;

function rangeCheck({ greaterThan: low, lessThan: high }: NumberRules): ValueCheck<number | bigint> {
  const words: string[] = [];
  if (low.case !== undefined)
    words.push(`${low.case === "gt" ? "greater than" : "greater than or equal to"} ${low.value}`);
  if (high.case !== undefined)
    words.push(`${high.case === "lt" ? "less than" : "less than or equal to"} ${high.value}`);
  // Bounds the wrong way round mean all that is outside of them.
  if (low.case !== undefined && high.case !== undefined && high.value < low.value) return notKnown;
  const problem = `must be ${words.join(" and ")}`;
  return (value, tell) => {
    const isLow = low.case !== undefined && (low.case === "gt" ? value <= low.value : value < low.value);
    const isHigh = high.case !== undefined && (high.case === "lt" ? value >= high.value : value > high.value);
    if (isLow || isHigh) tell(problem);
  };
}

function all<Value>(checks: readonly ValueCheck<Value>[]): ValueCheck<Value> {
  const [only] = checks;
  if (checks.length === 1 && only !== undefined) return only;
  return (value, tell) => {
    for (const check of checks) check(value, tell);
  };
}

function charactersOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
