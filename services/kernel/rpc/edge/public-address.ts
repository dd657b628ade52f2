/** Where people reach the mesh, when a proxy stands in front of it: another host, another origin, a path of its own. */

export interface PublicAddress {
  /** The name that Host may have, with any port. */
  readonly host: string;
  /** As browsers send it. */
  readonly origin: string;
  /** What stands before every path, without a slash at its end; empty for none. */
  readonly prefix: string;
}

export function readPublicAddress(publicUrl: string): PublicAddress {
  const { hostname, origin, pathname } = new URL(publicUrl);
  return { host: hostname, origin, prefix: pathname.replace(/\/+$/, "") };
}

/** The path without the prefix: proxies take it off, or hand on what they were asked for. */
export function withoutPrefix(url: string, prefix: string): string {
  if (prefix === "" || !url.startsWith(prefix)) return url;
  const rest = url.slice(prefix.length);
  if (rest === "" || rest.startsWith("?")) return `/${rest}`;
  return rest.startsWith("/") ? rest : url;
}
