/** The API's rules for tools: names, property keys anywhere in a schema, and that a schema is one of JSON Schema 2020-12. */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { Ajv2020 } from "ajv/dist/2020.js";
import { type ApiProblem, invalid } from "../error-body.ts";
import { isObject } from "./is-object.ts";

const toolName = /^[a-zA-Z0-9_-]{1,128}$/;
const propertyKey = /^[a-zA-Z0-9_.-]{1,64}$/;
/** Keywords whose value is a schema, a list of schemas, or a map of schemas. */
const schemaKeywords = new Set(
  "additionalProperties propertyNames items contains not if then else unevaluatedItems unevaluatedProperties".split(
    " ",
  ),
);
const listKeywords = new Set("allOf anyOf oneOf prefixItems".split(" "));
const mapKeywords = new Set("properties patternProperties $defs definitions dependentSchemas".split(" "));

const metaSchemas = new Ajv2020({ strict: false });

/** The first problem of the tools; undefined when the API would take them. */
export function validateTools(tools: JsonValue | undefined): ApiProblem | undefined {
  if (tools === undefined) return undefined;
  if (!Array.isArray(tools)) return invalid("tools: Input should be a valid list");
  const names = new Set<string>();
  for (const [index, tool] of tools.entries()) {
    const at = `tools.${index}.custom`;
    if (!isObject(tool)) return invalid(`${at}: Input should be an object`);
    const { name, input_schema: schema } = tool;
    if (typeof name !== "string" || !toolName.test(name)) {
      return invalid(`${at}.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`);
    }
    if (names.has(name)) return invalid("tools: Tool names must be unique.");
    names.add(name);
    const problem = validateSchema(schema, `${at}.input_schema`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function validateSchema(schema: JsonValue | undefined, at: string): ApiProblem | undefined {
  if (!isObject(schema) || schema.type !== "object") return invalid(`${at}.type: Field required`);
  if (["oneOf", "allOf", "anyOf"].some((key) => key in schema)) {
    return invalid(`${at}: input_schema does not support oneOf, allOf, or anyOf at the top level`);
  }
  if (hasIllegalKey(schema)) {
    return invalid(`${at}.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'`);
  }
  const { $schema: _dialect, $id: _id, ...rest } = schema;
  if (metaSchemas.validateSchema(rest) === true) return undefined;
  return invalid(
    `${at.slice(0, -".input_schema".length)}.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12 (https://json-schema.org/draft/2020-12). Learn more about tool use at https://docs.claude.com/en/docs/tool-use.`,
  );
}

function hasIllegalKey(schema: JsonValue | undefined): boolean {
  if (!isObject(schema)) return false;
  const own = isObject(schema.properties) ? Object.keys(schema.properties) : [];
  if (own.some((key) => !propertyKey.test(key))) return true;
  return Object.entries(schema).some(([keyword, value]) => subschemas(keyword, value).some(hasIllegalKey));
}

function subschemas(keyword: string, value: JsonValue): readonly JsonValue[] {
  if (schemaKeywords.has(keyword)) return [value];
  if (listKeywords.has(keyword)) return Array.isArray(value) ? value : [];
  return mapKeywords.has(keyword) && isObject(value) ? Object.values(value as JsonObject) : [];
}
