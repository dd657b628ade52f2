/**
 * Holds a message to the rules of its contract (L6): what protovalidate does, without what it loads and compiles before the first
 * answer, a parser of CEL among it. Rules that are not known here are protovalidate's to judge: `RuleNotKnown` says so, and only
 * when such a rule has something to look at.
 *
 * What a message has to keep is worked out with the first one of its type. Messages without rules, events between services above
 * all, cost one look into a table.
 */
import { type DescField, type DescMessage, getOption, hasOption, isFieldSet, type Message } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import {
  type FieldRules,
  field as fieldRules,
  Ignore,
  message as messageRules,
  oneof as oneofRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { FieldProblem } from "../../../errors.ts";
import { contentOf } from "./field-content.ts";
import { listCheck, mapCheck } from "./many-rules.ts";
import { hasRulesOfOwn, notKnown, ruleTypeOf, valueCheckOf } from "./value-rules.ts";
import { type Check, ofValue, Walk } from "./walk.ts";

/** The problems of a message, in protovalidate's order and words; empty when there is none. Throws RuleNotKnown. */
export function findBrokenRules(schema: DescMessage, message: Message): readonly FieldProblem[] {
  const checks = checksOf(schema);
  if (checks.length === 0) return [];
  const walk = new Walk();
  for (const check of checks) check(message, walk);
  return walk.problems;
}

const planned = new WeakMap<DescMessage, readonly Check[]>();

function checksOf(schema: DescMessage): readonly Check[] {
  const known = planned.get(schema);
  if (known !== undefined) return known;
  const checks: Check[] = [];
  // Before its fields: a message may contain itself.
  planned.set(schema, checks);
  if (!carriesRules(schema)) return checks;
  for (const field of schema.fields) {
    const check = fieldCheck(field);
    if (check !== undefined) checks.push(check);
  }
  if (hasOption(schema, messageRules)) checks.push(notKnown);
  for (const oneof of schema.oneofs) {
    if (!hasOption(oneof, oneofRules) || !getOption(oneof, oneofRules).required) continue;
    checks.push((message, walk) => {
      if ((message as Readonly<Record<string, { case?: string }>>)[oneof.localName]?.case !== undefined) return;
      walk.enter(oneof.name);
      walk.tell("exactly one field is required in oneof");
      walk.leave();
    });
  }
  return checks;
}

const carrying = new WeakMap<DescMessage, boolean>();

/** Whether a message, or one that it may contain, has a rule. */
function carriesRules(schema: DescMessage): boolean {
  const seen = new Set<DescMessage>();
  const look = (each: DescMessage): boolean => {
    const known = carrying.get(each);
    if (known !== undefined) return known;
    if (seen.has(each)) return false;
    seen.add(each);
    return (
      hasOption(each, messageRules) ||
      each.oneofs.some((oneof) => hasOption(oneof, oneofRules)) ||
      each.fields.some((field) => hasOption(field, fieldRules) || (field.message !== undefined && look(field.message)))
    );
  };
  const found = look(schema);
  if (found) carrying.set(schema, true);
  // All that can be reached was seen, and none of it has a rule.
  else for (const each of seen) carrying.set(each, false);
  return found;
}

/** Looks at a field of the message that it is given; undefined when there is nothing to look at. */
function fieldCheck(field: DescField): Check | undefined {
  const rules = hasOption(field, fieldRules) ? getOption(field, fieldRules) : undefined;
  const ignore = rules?.ignore ?? Ignore.UNSPECIFIED;
  if (ignore === Ignore.ALWAYS) return undefined;
  const content = contentCheck(field, rules);
  const isRequired = rules?.required === true;
  if (content === undefined && !isRequired) return undefined;
  const isMany = field.fieldKind === "list" || field.fieldKind === "map";
  const hasPresence = !isMany && field.presence !== FeatureSet_FieldPresence.IMPLICIT;
  const onlyIfSet = hasPresence || ignore === Ignore.IF_ZERO_VALUE;
  return (value, walk) => {
    const message = value as Message;
    const isMissing = (isRequired || onlyIfSet) && !isFieldSet(message, field);
    if (isMissing && !isRequired) return;
    walk.enter(field.name);
    if (isMissing) walk.tell("value is required");
    else content?.(contentOf(message, field), walk);
    walk.leave();
  };
}

function contentCheck(field: DescField, rules: FieldRules | undefined): Check | undefined {
  switch (field.fieldKind) {
    case "scalar":
      return ofValue(valueCheckOf(rules, ruleTypeOf(field.scalar), field));
    case "enum":
      return ofValue(valueCheckOf(rules, "enum", field));
    case "message":
      return insideCheck(field.message, rules);
    case "list":
      return listCheck(field, rules, insideCheck);
    case "map":
      return mapCheck(field, rules, insideCheck);
  }
}

/** A message inside of another: its own rules. Ones that stand on the field are not known here. */
function insideCheck(schema: DescMessage, rules: FieldRules | undefined): Check | undefined {
  if (rules !== undefined && (rules.type.case !== undefined || hasRulesOfOwn(rules))) return notKnown;
  if (!carriesRules(schema)) return undefined;
  return (message, walk) => {
    for (const check of checksOf(schema)) check(message, walk);
  };
}
