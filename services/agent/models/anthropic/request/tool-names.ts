/**
 * Tool names for an API that allows only letters, digits, `_` and `-`; 64 of them, because not every host of the models
 * takes the 128 of Anthropic's own.
 *
 * Keeps two laws: no two tools share a name, and a tool has the same name in every request, whatever else is listed
 * (the maker's prompt cache and signatures depend on it). `server.tool` becomes `server__tool` when that can be undone;
 * every other name becomes a digest with a readable tail, which holds no `_` and so meets none of the first kind.
 */
import { createHash } from "node:crypto";

const longestApiName = 64;
/** 96 bits: nobody finds two names that share them, nor a name that has those of another. */
const digestLength = 24;
const longestTail = longestApiName - digestLength - 3;
/** The server must neither hold `__` nor end with `_`: then the first `__` is where the dot stood. */
const reversible = /^([a-zA-Z0-9-]+(?:_[a-zA-Z0-9-]+)*)\.([a-zA-Z0-9_-]+)$/;

/** The API's name of a tool. */
export function toApiName(tool: string): string {
  const match = reversible.exec(tool);
  const plain = match === null ? "" : `${match[1]}__${match[2]}`;
  if (plain !== "" && plain.length <= longestApiName) return plain;
  const digest = createHash("sha256").update(tool).digest("hex").slice(0, digestLength);
  return `t-${digest}-${tool.replace(/[^a-zA-Z0-9]+/g, "-").slice(-longestTail)}`;
}

/** Undoes `toApiName` for the listed tools; a name that nobody listed comes back as the model wrote it. */
export function toolNameReader(tools: readonly { readonly name: string }[]): (apiName: string) => string {
  const names = new Map(tools.map((tool) => [toApiName(tool.name), tool.name]));
  return (apiName) => names.get(apiName) ?? apiName;
}
