/** About how many tokens a request has: four bytes each, and a fixed sum for a picture. */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isObject } from "./is-object.ts";

const bytesPerToken = 4;
const tokensPerPicture = 1_600;

export function countTokens({ messages, system, tools }: JsonObject): number {
  let pictures = 0;
  const text = JSON.stringify([messages ?? null, system ?? null, tools ?? null], (_key, value: JsonValue) => {
    if (!isObject(value) || value.type !== "image") return value;
    pictures += 1;
    return "";
  });
  return Math.ceil(Buffer.byteLength(text) / bytesPerToken) + pictures * tokensPerPicture;
}
