/** Names a configuration as it is shown: equal ones have one revision. What secrets are is no part of it, that they are is. */
import { createHash } from "node:crypto";
import { type DescMessage, type JsonValue, type MessageShape, toJson } from "@bufbuild/protobuf";
import { canonicalJson } from "../json/canonical-json.ts";

/** 16 hexadecimal digits. */
export function revisionOf<Schema extends DescMessage>(schema: Schema, message: MessageShape<Schema>): string {
  const text = canonicalJson(toJson(schema, message) as JsonValue);
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
