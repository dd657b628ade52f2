/**
 * Makes of a schema that a server wrote one that can be checked: JSON Schema 2020-12, complete in itself, of bounded size.
 *
 * Keeps F1: a keyword that can't be used costs itself alone. It is dropped with a note where that makes the schema looser
 * (the server checks its arguments itself); where dropping would make it stricter (below `not`, `if`, `oneOf`, or what
 * counts what is left over), the keyword around it goes too. What can't be told at all makes the schema unusable.
 * Keeps L7: 32 levels, 5 000 subschemas, 20 000 values, 256 KiB of JSON, 100 patterns; time is linear in what is kept.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { findJsonProblem } from "../../check-json.ts";
import { isObject } from "../json-parts.ts";
import { weighSchema } from "../weigh-schema.ts";
import { MendPass } from "./mend-pass.ts";
import { Unmendable } from "./unmendable.ts";

const maxTextLength = 256 * 1024;
/** Evaluations of one value in place, which `allOf`, `anyOf` and references multiply. */
const maxWeight = 10_000;

export type MendedSchema =
  | {
      readonly kind: "usable";
      readonly schema: JsonObject;
      /** How many subschemas it has: what compiling it costs grows with them. */
      readonly parts: number;
      /** What was mended or left out, for people; empty when the schema is used as it is written. At most 20. */
      readonly notes: readonly string[];
    }
  /** `problem` is a clause such as "refers to itself without end". */
  | { readonly kind: "unusable"; readonly problem: string };

/** Mends the schema of an object, such as the arguments of a tool. Never throws, whatever JSON `raw` is. */
export function mendSchema(raw: unknown): MendedSchema {
  try {
    return mend(raw);
  } catch (error) {
    if (error instanceof Unmendable) return { kind: "unusable", problem: error.message };
    throw error;
  }
}

function mend(raw: unknown): MendedSchema {
  if (raw === undefined || raw === null || raw === true || isEmptyList(raw)) {
    return { kind: "usable", schema: { type: "object" }, parts: 1, notes: [] };
  }
  if (!isObject(raw)) throw new Unmendable("is no object");
  let pass = new MendPass(raw, new Set());
  let root = pass.mendRoot();
  const loosened = pass.loosened();
  if (loosened.size > 0) {
    pass = new MendPass(raw, loosened);
    root = pass.mendRoot();
  }
  let schema = asObjectSchema(inlineRootRef(root, pass.defs));
  if (pass.defs.size > 0) schema.$defs = Object.fromEntries(pass.defs);
  const mayHaveUnused = pass.defs.size > 0 && (root.$ref !== undefined || pass.notes.length > 0);
  if (mayHaveUnused) schema = withoutUnused(schema);
  const problem = findJsonProblem(schema);
  if (problem !== undefined) throw new Unmendable(problem);
  if (JSON.stringify(schema).length > maxTextLength) throw new Unmendable(`is larger than ${maxTextLength} characters`);
  const weight = weighSchema(schema);
  if (weight === Number.POSITIVE_INFINITY) throw new Unmendable("refers to itself without end");
  if (weight > maxWeight) throw new Unmendable(`is too costly: one value would be checked ${weight} times`);
  return { kind: "usable", schema, parts: pass.parts, notes: pass.notes };
}

/** Without definitions that nothing refers to any more. What is mended stays as it is. */
function withoutUnused(schema: JsonObject): JsonObject {
  const pass = new MendPass(schema, new Set());
  const root = pass.mendRoot();
  return pass.defs.size === 0 ? root : { ...root, $defs: Object.fromEntries(pass.defs) };
}

/** What some languages write for an empty object. */
function isEmptyList(raw: unknown): boolean {
  return Array.isArray(raw) && raw.length === 0;
}

/** APIs of models want to see the properties at the top. */
function inlineRootRef(root: JsonObject, defs: ReadonlyMap<string, JsonValue>): JsonObject {
  let inlined = root;
  const seen = new Set<string>();
  for (;;) {
    const { $ref: ref, ...own } = inlined;
    if (typeof ref !== "string" || seen.has(ref)) return inlined;
    seen.add(ref);
    const target = defs.get(ref.replace(/^#\/\$defs\//, ""));
    if (!isObject(target)) return inlined;
    const clashes = Object.keys(own).some((key) => Object.hasOwn(target, key) && !annotations.has(key));
    if (clashes) return inlined;
    inlined = { ...(target as JsonObject), ...own };
  }
}

const annotations = new Set(["title", "description", "$comment", "default", "examples", "deprecated"]);

function asObjectSchema(schema: JsonObject): JsonObject {
  const { type } = schema;
  const types = Array.isArray(type) ? type : [type ?? "object"];
  if (!types.includes("object"))
    throw new Unmendable(
      `describes ${types.map((each) => String(each as string)).join(" or ")}, and arguments are an object`,
    );
  return { ...schema, type: "object" };
}
