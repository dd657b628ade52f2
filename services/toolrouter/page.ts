/** Cuts a list that is in order of name into pages. A token says after which name the next page begins. */
import { InvalidPageToken } from "../kernel/store/store-errors.ts";
import { compareNames } from "./tool-catalog.ts";

export interface Page<T> {
  readonly items: readonly T[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** `items` are in order of name; `pageSize` is at least 1. Throws InvalidPageToken. */
export function cutPage<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  pageSize: number,
  pageToken: string,
): Page<T> {
  const after = pageToken === "" ? "" : readToken(pageToken);
  const rest = items.filter((item) => compareNames(nameOf(item), after) > 0);
  const page = rest.slice(0, pageSize);
  const last = page.at(-1);
  const more = rest.length > page.length && last !== undefined;
  return { items: page, nextPageToken: more ? writeToken(nameOf(last)) : "" };
}

const tokenPrefix = "n:";

/** As long as a third more than the name: 256 characters of ASCII fit the contract's 512. */
function writeToken(name: string): string {
  return Buffer.from(`${tokenPrefix}${name}`).toString("base64url");
}

function readToken(token: string): string {
  const text = Buffer.from(token, "base64url").toString("utf8");
  if (!text.startsWith(tokenPrefix) || writeToken(text.slice(tokenPrefix.length)) !== token)
    throw new InvalidPageToken();
  return text.slice(tokenPrefix.length);
}
