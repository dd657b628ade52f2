/**
 * The tools of a server under the names that the mesh knows them by: `server.tool`.
 *
 * A server's name has no dot, so the first dot parts the two and no two servers' tools ever have one name.
 */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Tool } from "../../../gen/atoll/tool/v1/tool_pb.ts";

/** A tool that can be used, and what the router needs to call it. */
export interface CatalogTool {
  /** As the mesh shows it. */
  readonly tool: Tool;
  /** As its server calls it. */
  readonly nameAtServer: string;
  /** Mended: what arguments are checked against. */
  readonly inputSchema: JsonObject;
  /** How many subschemas it has. */
  readonly schemaParts: number;
  /** How many bytes `tool` has on the wire. */
  readonly bytes: number;
}

/** Names in the order of their UTF-16 units: the same everywhere, and what page tokens count on. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The server's part of a tool's name, or undefined when it has none. */
export function serverOf(toolName: string): string | undefined {
  const dot = toolName.indexOf(".");
  return dot > 0 ? toolName.slice(0, dot) : undefined;
}
