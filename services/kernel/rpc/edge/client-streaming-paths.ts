// Keeps L6: which requests may keep their body open is read from the contract, not from a table.
import type { DescService } from "@bufbuild/protobuf";

/** Tells for a request path ("/pkg.Service/Method") whether the client may stream there, so its body may stay open. */
export function clientStreamingPaths(services: Iterable<DescService>): (path: string) => boolean {
  const paths = new Set<string>();
  for (const service of services) {
    for (const { methodKind, name } of service.methods) {
      if (methodKind === "client_streaming" || methodKind === "bidi_streaming") {
        paths.add(`/${service.typeName}/${name}`);
      }
    }
  }
  return (path) => paths.has(path);
}
