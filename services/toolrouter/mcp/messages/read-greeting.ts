/**
 * Reads what a server answers to `initialize`, part by part: the SDK's schema would refuse the whole server for one.
 *
 * Keeps F1: a member that can't be read counts as absent. Nothing here throws.
 */
import { DEFAULT_NEGOTIATED_PROTOCOL_VERSION, type InitializeResult } from "@modelcontextprotocol/sdk/types.js";

type Members = Readonly<Record<string, unknown>>;

/**
 * The greeting as the SDK takes it: the version, whether there are tools, and the server's name. A server that names no
 * version is taken at 2025-03-26, as the protocol takes a request without one. One whose capabilities can't be read is
 * asked for tools.
 */
export function readGreeting({ protocolVersion, capabilities, serverInfo }: Members): InitializeResult {
  return {
    protocolVersion: textOr(protocolVersion, DEFAULT_NEGOTIATED_PROTOCOL_VERSION),
    capabilities: hasTools(capabilities) ? { tools: {} } : {},
    serverInfo: readInfo(isMembers(serverInfo) ? serverInfo : {}),
  };
}

/** An empty list is what PHP writes for an empty object. */
function hasTools(capabilities: unknown): boolean {
  if (Array.isArray(capabilities)) return capabilities.includes("tools");
  if (!isMembers(capabilities)) return true;
  const { tools } = capabilities;
  return (tools ?? false) !== false;
}

function readInfo({ name, title, version }: Members): InitializeResult["serverInfo"] {
  const named = { name: textOr(name, ""), version: textOr(version, "") };
  return typeof title === "string" ? { ...named, title } : named;
}

function textOr(value: unknown, absent: string): string {
  return typeof value === "string" && value !== "" ? value : absent;
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
