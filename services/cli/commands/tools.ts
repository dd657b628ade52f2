/** `atoll tools`: the tools and their servers, one tool with its schema, or one call of it. */
import { toJsonString } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { ToolOutcome, ToolOutcomeSchema } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import {
  ServerState,
  ServerStateSchema,
  type Tool,
  ToolSchema,
  ToolState,
  ToolStateSchema,
} from "../../../gen/atoll/tool/v1/tool_pb.ts";
import { InvokeToolResponseSchema, ToolRouterService } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { nearMiss } from "../../kernel/config/near-miss.ts";
import { jsonRegistry } from "../../kernel/event/json-registry.ts";
import { newId } from "../../kernel/id.ts";
import { visibleText } from "../../kernel/visible-text.ts";
import { type Command, type CommandInput, UsageError } from "../command.ts";
import { connectMesh } from "../connect-mesh.ts";
import { clientFlags } from "../flags.ts";
import { noMoreWords } from "../parse-command-line.ts";

const pageSize = 500;

export const tools: Command = {
  usage: "[TOOL [--call JSON]]",
  summary: "List the tools and their MCP servers, show one with its schema, or call it.",
  details: ["", "A tool is called with --call alone; without it, nothing is."],
  flags: ["call", ...clientFlags],
  run(input) {
    const { words, flags } = input;
    const [name, ...others] = words;
    noMoreWords("tools", others);
    if (name === undefined && flags.call !== undefined) throw new UsageError("atoll tools TOOL --call JSON");
    const client = createClient(ToolRouterService, connectMesh(input));
    if (name === undefined) return listAll(client, input);
    return flags.call === undefined ? showOne(client, name, input) : callOne(client, name, flags.call, input);
  },
};

type ToolRouter = Client<typeof ToolRouterService>;

/** Those that nobody can call, too: people see why. */
async function* readTools(client: ToolRouter): AsyncGenerator<Tool> {
  let pageToken = "";
  do {
    const page = await client.listTools({ pageSize, pageToken, includeUnusable: true });
    yield* page.tools;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}

async function listAll(client: ToolRouter, { output, flags }: CommandInput): Promise<number> {
  for await (const tool of readTools(client)) {
    if (flags.json === true) {
      output.json(toJsonString(ToolSchema, tool));
      continue;
    }
    for (const line of summarise(tool)) output.line(line);
  }
  const { servers } = await client.listServers({});
  for (const { name, state, problem } of servers) {
    if (state === ServerState.READY && problem === "") continue;
    output.note(
      `server ${name}: ${ServerStateSchema.value[state]?.localName ?? state}${problem === "" ? "" : `: ${problem}`}`,
    );
  }
  return 0;
}

/** `files.read  ready  Reads a file.`, with the name that its server gives it when that is another one, and what is wrong. */
function summarise({ name, nameAtServer, state, problem, description }: Tool): string[] {
  const own = nameAtServer === "" ? "" : ` (${nameAtServer})`;
  const shownState = (ToolStateSchema.value[state]?.localName ?? String(state)).toLowerCase();
  const summary = visibleText(description.split("\n", 1)[0] ?? "").slice(0, 100);
  const line = `${visibleText(`${name}${own}`).padEnd(40)} ${shownState.padEnd(8)} ${summary}`.trimEnd();
  return problem === "" ? [line] : [line, `    ${visibleText(problem)}`];
}

async function showOne(client: ToolRouter, name: string, { output, flags }: CommandInput): Promise<number> {
  const names: string[] = [];
  for await (const tool of readTools(client)) {
    names.push(tool.name);
    if (tool.name !== name) continue;
    if (flags.json === true) output.json(toJsonString(ToolSchema, tool));
    else for (const line of describe(tool)) output.line(line);
    return 0;
  }
  const meant = nearMiss(name, names);
  const advice = meant === undefined ? "`atoll tools` lists them" : `did you mean ${meant}?`;
  output.failure({
    code: "not_found",
    reason: "TOOL_NOT_FOUND",
    message: `there is no tool ${name}; ${advice}`,
    isOwnWords: true,
  });
  return 1;
}

function describe({ name, title, description, inputSchema, state, problem }: Tool): string[] {
  const call = `Call it: npx --no atoll tools ${visibleText(name)} --call '{…}'`;
  return [
    visibleText(title === "" ? name : `${name}: ${title}`),
    ...(description === "" ? [] : ["", description]),
    "",
    "Arguments, as JSON Schema:",
    ...JSON.stringify(inputSchema ?? {}, undefined, 2).split("\n"),
    "",
    ...(problem === "" ? [] : [`Its problem: ${visibleText(problem)}`]),
    ...(state === ToolState.UNUSABLE ? [] : [call]),
  ];
}

async function callOne(
  client: ToolRouter,
  tool: string,
  json: string,
  { output, flags }: CommandInput,
): Promise<number> {
  const answer = await client.invokeTool({
    call: { callId: newId("call"), tool, argumentsJson: requireObject(json), context: {} },
  });
  const { result } = answer;
  if (flags.json === true) output.json(toJsonString(InvokeToolResponseSchema, answer, { registry: jsonRegistry }));
  else {
    for (const { block } of result?.content ?? []) {
      output.text(block.case === "text" ? block.value.text : `[${block.case ?? "unknown content"}]`);
      output.endLine();
    }
  }
  if (result?.outcome === ToolOutcome.SUCCEEDED) return 0;
  const outcome = ToolOutcomeSchema.value[result?.outcome ?? 0]?.localName ?? "";
  output.note(`the call ended as ${outcome} ${result?.message ?? ""}`.trim());
  return 1;
}

/** As it was typed: its numbers keep their digits. */
function requireObject(json: string): string {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return json;
  } catch {
    // Said below.
  }
  throw new UsageError(`--call must be a JSON object, for example '{"path":"."}'`);
}
