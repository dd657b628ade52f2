/** `atoll tools`: the tools and their servers, or one call of a tool. */
import { toJsonString } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { ToolOutcome, ToolOutcomeSchema } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import {
  ServerState,
  ServerStateSchema,
  type Tool,
  ToolSchema,
  ToolStateSchema,
} from "../../gen/atoll/tool/v1/tool_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { newId } from "../kernel/id.ts";
import { type Command, type CommandInput, UsageError } from "./command.ts";
import { connectMesh } from "./connect-mesh.ts";
import { plain } from "./plain-text.ts";

const pageSize = 500;

export const tools: Command = {
  usage: "[TOOL --call JSON]",
  summary: "List the tools and their MCP servers, or call one.",
  flags: ["call", "json", "url"],
  run: (input) => (input.words.length > 0 || input.flags.call !== undefined ? callOne(input) : listAll(input)),
};

async function listAll(input: CommandInput): Promise<number> {
  const { output, flags } = input;
  const client = createClient(ToolRouterService, connectMesh(input));
  let pageToken = "";
  do {
    const page = await client.listTools({ pageSize, pageToken, includeUnusable: true });
    for (const tool of page.tools)
      output.line(flags.json === true ? toJsonString(ToolSchema, tool) : describeTool(tool));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  const { servers } = await client.listServers({});
  for (const { name, state, problem } of servers) {
    if (state === ServerState.READY && problem === "") continue;
    output.note(
      `server ${name}: ${ServerStateSchema.value[state]?.localName ?? state}${problem === "" ? "" : `: ${plain(problem)}`}`,
    );
  }
  return 0;
}

/** `files.read  ready  Reads a file.`, with the name that its server gives it when that is another one, and what is wrong. */
function describeTool({ name, nameAtServer, state, problem, description }: Tool): string {
  const own = nameAtServer === "" ? "" : ` (${nameAtServer})`;
  const shownState = (ToolStateSchema.value[state]?.localName ?? String(state)).toLowerCase();
  const summary = (description.split("\n", 1)[0] ?? "").slice(0, 100);
  const line = `${`${plain(name)}${plain(own)}`.padEnd(40)} ${shownState.padEnd(8)} ${plain(summary)}`.trimEnd();
  return problem === "" ? line : `${line}\n    ${plain(problem)}`;
}

async function callOne(input: CommandInput): Promise<number> {
  const { output, flags, words } = input;
  const [tool] = words;
  if (tool === undefined || words.length > 1) throw new UsageError("atoll tools TOOL --call JSON");
  const client = createClient(ToolRouterService, connectMesh(input));
  const call = { callId: newId("call"), tool, arguments: readArguments(flags.call ?? "{}") };
  const { result } = await client.invokeTool({ call });
  for (const { block } of result?.content ?? []) {
    output.line(block.case === "text" ? plain(block.value.text) : `[${block.case ?? "unknown content"}]`);
  }
  if (result?.outcome === ToolOutcome.SUCCEEDED) return 0;
  const outcome = ToolOutcomeSchema.value[result?.outcome ?? 0]?.localName ?? "";
  output.note(`the call ended as ${outcome} ${plain(result?.message ?? "")}`.trim());
  return 1;
}

function readArguments(json: string): Record<string, never> {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, never>;
  } catch {
    // Said below.
  }
  throw new UsageError(`--call must be a JSON object, for example '{"path":"."}'`);
}
