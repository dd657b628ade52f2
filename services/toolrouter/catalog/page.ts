/** Cuts a list that is in order of name into pages. A token says after which name the next page begins. */
import { InvalidPageToken } from "../../kernel/store/store-errors.ts";
import { compareNames } from "./tool-catalog.ts";

export interface Page<T> {
  readonly items: readonly T[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/**
 * `items` are in order of name; `pageSize` is at least 1. A page ends sooner when its items fill `maxBytes`, but has at least
 * one. Throws InvalidPageToken.
 */
export function cutPage<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  pageSize: number,
  pageToken: string,
  { bytesOf, maxBytes }: { readonly bytesOf: (item: T) => number; readonly maxBytes: number } = unbounded,
): Page<T> {
  const after = pageToken === "" ? "" : readToken(pageToken);
  const rest = items.filter((item) => compareNames(nameOf(item), after) > 0);
  let [count, bytes] = [0, 0];
  for (const item of rest.slice(0, pageSize)) {
    bytes += bytesOf(item);
    if (bytes > maxBytes && count > 0) break;
    count++;
  }
  const page = rest.slice(0, count);
  const last = page.at(-1);
  const more = rest.length > page.length && last !== undefined;
  return { items: page, nextPageToken: more ? writeToken(nameOf(last)) : "" };
}

const unbounded = { bytesOf: () => 0, maxBytes: 1 };

const tokenPrefix = "n:";

/** A third longer than the name in UTF-8: 240 characters of any script fit the contract's 1 000, the most that RE2 counts. */
function writeToken(name: string): string {
  return Buffer.from(`${tokenPrefix}${name}`).toString("base64url");
}

function readToken(token: string): string {
  const text = Buffer.from(token, "base64url").toString("utf8");
  if (!text.startsWith(tokenPrefix) || writeToken(text.slice(tokenPrefix.length)) !== token)
    throw new InvalidPageToken();
  return text.slice(tokenPrefix.length);
}
