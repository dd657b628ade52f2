/** Whether a value of JSON is an object. */
import type { JsonObject } from "@bufbuild/protobuf";

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
