/**
 * The tools of a server under the names that the mesh knows them by: `server.tool`.
 *
 * A server's name has no dot, so the first dot parts the two and no two servers' tools ever have one name. A tool that
 * has no usable name is left out, and the log says so (L9).
 */
import { createHash } from "node:crypto";
import { create, type JsonObject } from "@bufbuild/protobuf";
import { type Tool, ToolSchema, ToolState } from "../../gen/atoll/tool/v1/tool_pb.ts";
import type { Log } from "../kernel/log.ts";
import { canonicalJson } from "./canonical-json.ts";
import { findJsonProblem } from "./check-json.ts";
import { escapeHidden, escapeName } from "./escape-hidden.ts";
import type { McpTool } from "./mcp/mcp-connection.ts";
import { isRepeatable, type McpServerSettings } from "./server-settings.ts";

const maxNameLength = 256;
const maxTitleLength = 256;
const maxDescriptionLength = 16_384;

/** A tool, and what the router needs to call it. */
export interface CatalogTool {
  /** As the mesh shows it. */
  readonly tool: Tool;
  /** As its server calls it. */
  readonly nameAtServer: string;
  readonly inputSchema: JsonObject;
}

/** The tools by their names in the mesh, in order of name. */
export function describeTools(
  server: string,
  settings: McpServerSettings,
  tools: readonly McpTool[],
  log: Log,
): ReadonlyMap<string, CatalogTool> {
  const described = new Map<string, CatalogTool>();
  for (const tool of tools) {
    const name = `${server}.${escapeName(tool.name)}`;
    const problem = described.has(name) ? "its name comes twice" : findProblem(name, tool);
    if (problem !== undefined) {
      log.warn({ tool: name, problem }, "an MCP server lists a tool that is left out");
      continue;
    }
    const entry = describe(name, server, settings, tool);
    described.set(name, { tool: entry, nameAtServer: tool.name, inputSchema: tool.inputSchema });
  }
  return new Map([...described].sort(([a], [b]) => compareNames(a, b)));
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

/** Why the tool can't be listed, or undefined. */
function findProblem(shownName: string, { name, inputSchema, outputSchema }: McpTool): string | undefined {
  if (name === "") return "it has no name";
  if (shownName.length > maxNameLength) return `its name is longer than ${maxNameLength} characters`;
  const problem = findJsonProblem(inputSchema) ?? findJsonProblem(outputSchema ?? {});
  return problem === undefined ? undefined : `its schema ${problem}`;
}

function describe(name: string, server: string, settings: McpServerSettings, tool: McpTool): Tool {
  return create(ToolSchema, {
    name,
    server,
    title: cut(escapeHidden(tool.title), maxTitleLength),
    description: cut(escapeHidden(tool.description), maxDescriptionLength),
    inputSchema: tool.inputSchema,
    ...(tool.outputSchema === undefined ? {} : { outputSchema: tool.outputSchema }),
    hints: tool.hints,
    state: settings.trusted ? ToolState.READY : ToolState.PENDING,
    definitionHash: hashDefinition(tool),
    repeatable: isRepeatable(settings, tool.name),
  });
}

/** Over what a person approves and a model reads: name, description, schemas, as the server wrote them. */
function hashDefinition({ name, description, inputSchema, outputSchema }: McpTool): string {
  const definition = { name, description, inputSchema, outputSchema: outputSchema ?? null };
  return createHash("sha256").update(canonicalJson(definition)).digest("hex");
}

function cut(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1).toWellFormed()}…`;
}
