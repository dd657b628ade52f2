/** `atoll tools`: the tools and their servers, or one call of a tool. */
import { toJsonString } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { ToolOutcome, ToolOutcomeSchema } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { ServerState, ServerStateSchema, ToolSchema } from "../../gen/atoll/tool/v1/tool_pb.ts";
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
    const page = await client.listTools({ pageSize, pageToken });
    for (const tool of page.tools) {
      const summary = plain(tool.description.split("\n", 1)[0] ?? "").slice(0, 100);
      output.line(flags.json === true ? toJsonString(ToolSchema, tool) : `${plain(tool.name).padEnd(40)} ${summary}`);
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  const { servers } = await client.listServers({});
  for (const { name, state, problem } of servers) {
    if (state === ServerState.READY) continue;
    output.note(
      `server ${name}: ${ServerStateSchema.value[state]?.localName ?? state}${problem === "" ? "" : `: ${plain(problem)}`}`,
    );
  }
  return 0;
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
