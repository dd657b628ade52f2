/** Keeps R1: whether a call that must happen once is new, came before, or reuses another call's id. Pure. */

export type RequestVerdict = "new" | "replayed" | "request-id-reused";

/** @param stored What is stored under (tenant, principal, method, request id); undefined when nothing is. */
export function judgeRequest(stored: { readonly digest: string } | undefined, digest: string): RequestVerdict {
  if (stored === undefined) return "new";
  // A program of another version took the digest in another way: its id alone says that it is the same request.
  if (versionOf(stored.digest) !== versionOf(digest)) return "replayed";
  return stored.digest === digest ? "replayed" : "request-id-reused";
}

/** `<version>:<digest>` */
function versionOf(digest: string): string {
  return digest.slice(0, Math.max(0, digest.indexOf(":")));
}
