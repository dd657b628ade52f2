/**
 * Checks arguments against a tool's JSON Schema before the server sees them. The only door to ajv (L8).
 *
 * Keeps L7: a schema is compiled once and at most 1 000 compiled ones are kept; at most 20 problems are told.
 */
import type { JsonObject } from "@bufbuild/protobuf";
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from "ajv";
import { Ajv2019 } from "ajv/dist/2019.js";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { FieldProblem } from "../kernel/errors.ts";
import { visibleProblem } from "./problem-text.ts";

const maxCompiled = 1000;
const maxProblems = 20;

const options: Options = {
  strict: false,
  allErrors: true,
  // Formats are notes unless a vocabulary says otherwise (JSON Schema 2020-12, §7.2.1).
  validateFormats: false,
  // A schema may not name its dialect, or name one with a slip; a wrong keyword shows when it is compiled.
  meta: false,
  validateSchema: false,
  addUsedSchema: false,
  logger: false,
};

export type ArgumentCheck =
  | { readonly kind: "valid" }
  /** Paths are as in `arguments.path` and `arguments.items[0].name`. */
  | { readonly kind: "invalid"; readonly fields: readonly FieldProblem[] }
  /** The schema itself can't be used. */
  | { readonly kind: "broken-schema"; readonly problem: string };

type Compiled =
  | { readonly kind: "usable"; readonly validate: ValidateFunction }
  | { readonly kind: "broken"; readonly problem: string };

/** Makes a check with a cache of its own; `definitionHash` names the schema. */
export function createArgumentCheck(): (definitionHash: string, schema: JsonObject, args: JsonObject) => ArgumentCheck {
  const compiled = new Map<string, Compiled>();
  return (definitionHash, schema, args) => {
    let found = compiled.get(definitionHash);
    if (found === undefined) {
      found = compile(schema);
      const oldest = compiled.keys().next();
      if (compiled.size >= maxCompiled && !oldest.done) compiled.delete(oldest.value);
      compiled.set(definitionHash, found);
    }
    if (found.kind === "broken") return { kind: "broken-schema", problem: found.problem };
    return check(found.validate, args);
  };
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

function compile(schema: JsonObject): Compiled {
  const { $schema: dialect, ...rest } = schema;
  try {
    return { kind: "usable", validate: ajvFor(dialect).compile(rest) };
  } catch (error) {
    return { kind: "broken", problem: visibleProblem(error instanceof Error ? error.message : String(error)) };
  }
}

/** MCP's default is 2020-12; drafts up to 07 differ from it in the same few keywords. */
function ajvFor(dialect: unknown): Ajv {
  const name = typeof dialect === "string" ? dialect : "";
  if (/draft-0[3-7]/.test(name)) return new Ajv(options);
  return name.includes("2019-09") ? new Ajv2019(options) : new Ajv2020(options);
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
