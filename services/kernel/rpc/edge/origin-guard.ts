// Keeps a web page that the user happens to visit from reaching the mesh with the user's network position: by its own
// name re-bound to our address (421), or by a request across origins (403, also for GET).
// Pure: the caller answers with the verdict's status before it looks at anything else of the request.

export type GuardVerdict =
  | { readonly kind: "allowed" }
  | { readonly kind: "refused"; readonly status: 403 | 421; readonly reason: string };

/** The headers that browsers set by themselves and pages cannot change. Node joins repeated ones, which refuses them. */
export interface OriginHeaders {
  readonly origin?: string | undefined;
  readonly "sec-fetch-site"?: string | string[] | undefined;
}

const allowed: GuardVerdict = { kind: "allowed" };
const loopbackNames = ["localhost", "127.0.0.1", "[::1]"];
const wildcardAddresses = ["0.0.0.0", "::", "[::]", "*", ""];
const authorityPattern = /^(?<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?<port>\d{1,5}))?$/;

/**
 * The names under which this listener answers: loopback and the bind host with our port (without it too where it is
 * the scheme's default), and the configured ones: "name" for any port, "name:port" for one. A wildcard bind address
 * names no host, so the names that clients use then have to be configured.
 */
export function listAllowedHosts(listener: {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly configured: readonly string[];
}): ReadonlySet<string> {
  const bindHost = listener.host.includes(":") ? `[${listener.host.replace(/^\[|\]$/g, "")}]` : listener.host;
  const names = wildcardAddresses.includes(listener.host) ? loopbackNames : [...loopbackNames, bindHost];
  const defaultPort = listener.tls ? 443 : 80;
  const ours = names.flatMap((name) =>
    // A client leaves the default port out, so the name alone is exactly that port: listed as "name:".
    listener.port === defaultPort ? [`${name}:${listener.port}`, `${name}:`] : [`${name}:${listener.port}`],
  );
  return new Set([...ours, ...listener.configured].map((name) => name.toLowerCase()));
}

/**
 * Refuses with 421 unless `authority` (HTTP/2 :authority, HTTP/1.1 Host) is listed; a missing or malformed one is
 * not. `allowedHosts` comes from listAllowedHosts().
 */
export function checkHost(authority: string | undefined, allowedHosts: ReadonlySet<string>): GuardVerdict {
  if (authority === undefined) return refuse(421, "The request names no host.");
  const parts = authorityPattern.exec(authority.toLowerCase())?.groups;
  const host = parts?.host;
  if (host === undefined) return refuse(421, "The request's host is malformed.");
  if (allowedHosts.has(host) || allowedHosts.has(`${host}:${parts?.port ?? ""}`)) return allowed;
  return refuse(421, "This mesh does not answer under the requested host; list it in allowed hosts if it should.");
}

/**
 * Refuses with 403 what a browser sends for a page of another origin. Allowed: Sec-Fetch-Site same-origin or none
 * (typed, bookmarked), an Origin that is `authority` itself or listed ("https://host:port"), and requests with
 * neither header, which come from no current browser. `authority` must have passed checkHost().
 */
export function checkOrigin(
  headers: OriginHeaders,
  authority: string | undefined,
  allowedOrigins: ReadonlySet<string>,
): GuardVerdict {
  const { origin, "sec-fetch-site": site } = headers;
  if (origin !== undefined && allowedOrigins.has(origin.toLowerCase())) return allowed;
  switch (site) {
    case "same-origin":
    case "none":
      return allowed;
    case undefined:
      // A browser without Sec-Fetch-Site. The scheme is not compared: a proxy may have taken TLS off.
      if (origin === undefined || isOwnOrigin(origin, authority)) return allowed;
      return refuse(403, "The request comes from a page of another origin.");
    default:
      return refuse(403, "The request comes from a page of another site or origin.");
  }
}

function isOwnOrigin(origin: string, authority: string | undefined): boolean {
  const own = /^https?:\/\/(?<authority>.+)$/.exec(origin.toLowerCase())?.groups?.authority;
  return own !== undefined && own === authority?.toLowerCase();
}

function refuse(status: 403 | 421, reason: string): GuardVerdict {
  return { kind: "refused", status, reason };
}
