/**
 * Compiles a mended schema and checks arguments with it. The only door to ajv (L8).
 *
 * Everything here runs to its end on the thread that calls it; who may call it there, and when, is decided by
 * `argument-checks.ts`. Keeps L7: at most 20 problems are told; patterns and comparisons are linear.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { ErrorObject, Options, ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { FieldProblem } from "../../../kernel/errors.ts";
import { canonicalJson } from "../../../kernel/json/canonical-json.ts";
import { visibleProblem } from "../../problem-text.ts";
import { linearPattern } from "../linear-pattern.ts";

const maxProblems = 20;

const options: Options = {
  strict: false,
  allErrors: true,
  // Formats are notes unless a vocabulary says otherwise (JSON Schema 2020-12, §7.2.1).
  validateFormats: false,
  // A mended schema names no dialect and has no wrong keyword.
  meta: false,
  validateSchema: false,
  // A definition that is referred to a thousand times is compiled once.
  inlineRefs: false,
  logger: false,
  code: { regExp: Object.assign((pattern: string) => linearPattern(pattern), { code: "linearPattern" }) },
};

export type ArgumentCheck =
  | { readonly kind: "valid" }
  /** Paths are as in `arguments.path` and `arguments.items[0].name`. */
  | { readonly kind: "invalid"; readonly fields: readonly FieldProblem[] }
  /** The schema itself can't be used. */
  | { readonly kind: "broken-schema"; readonly problem: string };

export type CompiledSchema =
  | { readonly kind: "usable"; readonly check: (args: JsonObject) => ArgumentCheck }
  | { readonly kind: "broken"; readonly problem: string };

/** Takes some tenths of a millisecond a subschema. */
export function compileSchema(schema: JsonObject): CompiledSchema {
  const ajv = new Ajv2020(options);
  // ajv compares every two items, which is quadratic.
  ajv.removeKeyword("uniqueItems");
  ajv.addKeyword({
    keyword: "uniqueItems",
    type: "array",
    schemaType: "boolean",
    validate: (isAsked: boolean, items: readonly JsonValue[]) =>
      !isAsked || new Set(items.map(canonicalJson)).size === items.length,
    errors: false,
    error: { message: "must not hold the same item twice" },
  });
  try {
    const validate = ajv.compile(schema);
    return { kind: "usable", check: (args) => check(validate, args) };
  } catch (error) {
    return { kind: "broken", problem: visibleProblem(error instanceof Error ? error.message : String(error)) };
  }
}

function check(validate: ValidateFunction, args: JsonObject): ArgumentCheck {
  try {
    if (validate(args)) return { kind: "valid" };
  } catch {
    // A schema that refers to itself can be led deeper than the stack.
    return { kind: "invalid", fields: [{ path: "arguments", problem: "is too deep to be checked" }] };
  }
  const fields = (validate.errors ?? []).slice(0, maxProblems).map(describeError);
  return { kind: "invalid", fields };
}

function describeError({ instancePath, keyword, params, message }: ErrorObject): FieldProblem {
  const path = `arguments${pathOf(instancePath)}`;
  switch (keyword) {
    case "required":
      return { path: `${path}${member(String(params.missingProperty))}`, problem: "is missing" };
    case "additionalProperties":
      return { path: `${path}${member(String(params.additionalProperty))}`, problem: "is not known to the tool" };
    case "unevaluatedProperties":
      return { path: `${path}${member(String(params.unevaluatedProperty))}`, problem: "is not known to the tool" };
    case "enum":
      return { path, problem: visibleProblem(`must be one of ${JSON.stringify(params.allowedValues)}`) };
    case "const":
      return { path, problem: visibleProblem(`must be ${JSON.stringify(params.allowedValue)}`) };
    default:
      return { path, problem: visibleProblem(message ?? `breaks the rule "${keyword}"`) };
  }
}

/** A JSON Pointer (RFC 6901) as a field path. */
function pathOf(pointer: string): string {
  return pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((token) => (/^\d+$/.test(token) ? `[${token}]` : member(token)))
    .join("");
}

function member(name: string): string {
  return /^[\w$-]{1,128}$/.test(name) ? `.${name}` : `[${visibleProblem(JSON.stringify(name))}]`;
}
