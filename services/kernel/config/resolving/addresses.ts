// Keeps: an address is taken apart and checked once, at the start; what is wrong with it is said in one sentence.
import { isIP, isIPv6 } from "node:net";
import type { ListenAddress } from "../resolved-config.ts";

/** A value, or what would have been right. */
export type Parsed<T> = { readonly value: T } | { readonly expected: string; readonly hint?: string };

const maxPort = 65_535;
const hostName = /^(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/i;

/** Reads `host:port`; IPv6 stands in brackets. */
export function parseListen(text: string): Parsed<ListenAddress> {
  const expected = "host:port, for example 127.0.0.1:18789";
  const colon = text.lastIndexOf(":");
  const portText = text.slice(colon + 1);
  const hostText = text.slice(0, Math.max(0, colon));
  if (/^\d+$/.test(text)) return { expected, hint: `Did you mean \`127.0.0.1:${text}\`?` };
  if (hostText === "") return { expected, hint: "Write 0.0.0.0 for every address of this machine." };
  if (!/^\d{1,5}$/.test(portText) || Number(portText) > maxPort)
    return { expected: `${expected}, port 0 to ${maxPort}` };
  const bracketed = /^\[(.*)\]$/.exec(hostText)?.[1];
  if (bracketed === undefined && hostText.includes(":")) {
    return { expected, hint: `IPv6 stands in brackets: \`[${hostText}]:${portText}\`.` };
  }
  const host = bracketed ?? hostText;
  if (bracketed === undefined ? !isHost(host) : !isIPv6(host)) return { expected };
  return { value: { host, port: Number(portText) } };
}

/** The address as `parseListen` reads it. */
export function formatListen({ host, port }: ListenAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Reads an address of the web; what is returned ends without a slash. */
export function parseUrl(text: string): Parsed<string> {
  const url = readUrl(text);
  if (url === undefined) return { expected: "an http:// or https:// address" };
  return { value: url.search === "" && url.hash === "" ? url.href.replace(/\/+$/, "") : url.href };
}

/** Reads an origin as browsers send it: scheme, host, port. */
export function parseOrigin(text: string): Parsed<string> {
  const url = readUrl(text);
  const expected = "an origin, for example https://chat.example.com";
  if (url === undefined) return { expected };
  const plain = text.toLowerCase() === url.origin || `${url.origin}/` === url.href;
  return plain ? { value: url.origin } : { expected, hint: `Did you mean \`${url.origin}\`?` };
}

/** Reads a host name or address without port. */
export function parseHost(text: string): Parsed<string> {
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  return isHost(bare) ? { value: bare.toLowerCase() } : { expected: "a host name or address without scheme and port" };
}

function readUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url?.protocol === "http:" || url?.protocol === "https:" ? url : undefined;
}

function isHost(text: string): boolean {
  if (/^[\d.]+$/.test(text)) return isIP(text) === 4;
  return isIP(text) !== 0 || (text.length <= 253 && hostName.test(text));
}
