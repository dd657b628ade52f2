/**
 * Whom a request is for. Keeps: it says so once. A proxy and this port that each believe another of two hosts are a way
 * around every check of either (RFC 9112 §3.2, RFC 9113 §8.3.1).
 */
import type { IncomingHttpHeaders } from "node:http";

export interface Target {
  /** Host or :authority as it was sent; empty when there is none. */
  readonly authority: string;
  /** Path and query, also of a request whose line had a whole address (RFC 9112 §3.2.2). */
  readonly url: string;
}

export interface TargetedRequest {
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders & { readonly ":authority"?: string | undefined };
  readonly rawHeaders: readonly string[];
}

/** Undefined when the request names two hosts. */
export function readTarget({ url = "/", headers, rawHeaders }: TargetedRequest): Target | undefined {
  const hosts = rawHeaders.filter((_, index) => index % 2 === 1 && /^host$/i.test(rawHeaders[index - 1] ?? ""));
  const named = headers[":authority"];
  if (hosts.length > 1) return undefined;
  const [host] = hosts;
  if (named !== undefined && host !== undefined && !isSame(named, host)) return undefined;
  const authority = named ?? host ?? "";
  const absolute = /^https?:\/\/([^/?#]*)([^#]*)/i.exec(url);
  if (absolute === null) return { authority, url };
  const [, inLine = "", rest = ""] = absolute;
  return isSame(inLine, authority) ? { authority, url: rest.startsWith("/") ? rest : `/${rest}` } : undefined;
}

function isSame(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
