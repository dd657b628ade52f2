/**
 * What `atoll doctor` does: what is wrong and what to do, one line a check. It calls what it checks: a running mesh is asked, and when
 * none runs each MCP server is started for a moment. It makes and changes nothing of its own.
 */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createClient, type Transport } from "@connectrpc/connect";
import { AdminService, Health } from "../../../gen/atoll/admin/v1/admin_service_pb.ts";
import type { Model } from "../../../gen/atoll/agent/v1/agent_pb.ts";
import { AgentService } from "../../../gen/atoll/agent/v1/agent_service_pb.ts";
import { ConfigError } from "../../kernel/config/config-error.ts";
import { describeWarning } from "../../kernel/config/config-warning.ts";
import { addressFile } from "../../kernel/config/folders/data-dir.ts";
import type { ResolvedConfig } from "../../kernel/config/resolved-config.ts";
import { packageFolder, readVersion } from "../../kernel/package-files.ts";
import { checkLogs } from "../../session/store/open-session-store.ts";
import type { CommandInput } from "../command.ts";
import { connectMesh, meshUrl } from "../connect-mesh.ts";
import { MeshNotRunning } from "../mesh-failures.ts";
import { checkFolders } from "./check-folders.ts";
import { checkModels } from "./check-models.ts";
import { checkPort } from "./check-port.ts";
import { checkTools } from "./check-tools.ts";
import type { Say, Verdict } from "./findings.ts";
import { askMeshForTools, tryServers } from "./tool-facts.ts";

const marks: Readonly<Record<Verdict, string>> = { ok: "✓", note: "·", wrong: "✗" };
const leastNodeMajor = 24;
const probeTimeoutMs = 2_000;

/** Resolves with the exit code. */
export async function runDoctor(input: CommandInput): Promise<number> {
  let wrong = 0;
  const say: Say = (check, verdict, text) => {
    if (verdict === "wrong") wrong += 1;
    input.output.line(
      input.flags.json === true ? JSON.stringify({ check, verdict, text }) : `${marks[verdict]} ${text}`,
    );
  };
  say("version", "ok", `atoll ${readVersion()}`);
  checkNode(say);
  const config = readConfig(input, say);
  if (config !== undefined) {
    await checkFolders(config, say);
    await checkStoredLogs(config.dataDir, say);
    await checkMesh(input, config, say);
  }
  if (!existsSync(join(packageFolder(), "web", "dist", "index.html"))) {
    say("page", "note", "the web page is not built: the first start builds it, or `npm run build:web`");
  }
  if (input.flags.json !== true) {
    input.output.line(wrong === 0 ? "Nothing is wrong." : `${wrong} ${wrong === 1 ? "thing is" : "things are"} wrong.`);
  }
  return wrong === 0 ? 0 : 1;
}

function checkNode(say: Say): void {
  const { node } = process.versions;
  if (Number(node.split(".")[0]) >= leastNodeMajor) say("node", "ok", `Node ${node}`);
  else say("node", "wrong", `Node ${node} is too old: run through npm or npx, which brings Node ${leastNodeMajor}`);
}

function readConfig(input: CommandInput, say: Say): ResolvedConfig | undefined {
  try {
    const config = input.config();
    say("configuration", "ok", `configuration: ${config.configFile ?? "defaults (no atoll.yaml)"}`);
    for (const warning of config.warnings) say("configuration", "note", describeWarning(warning));
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    say("configuration", "wrong", error.message);
    return undefined;
  }
}

async function checkStoredLogs(dataDir: string, say: Say): Promise<void> {
  const check = await checkLogs(dataDir);
  switch (check.kind) {
    case "absent":
      return say("logs", "note", "logs: none are stored here yet");
    case "in-use":
      return say(
        "logs",
        "note",
        "logs: not checked, because a mesh has them open: stop it, then run `atoll doctor` again",
      );
    case "unreadable":
      return say("logs", "wrong", `logs: ${check.problem}`);
    case "checked":
      break;
  }
  for (const { tenant, sessionId, seq, problem } of check.findings) {
    const event = seq === 0 ? "" : `event ${seq}: `;
    const where = sessionId === "" ? "logs: " : `session ${sessionId} of tenant ${tenant}: ${event}`;
    say("logs", "wrong", `${where}${problem}`);
  }
  if (check.more > 0) say("logs", "wrong", `logs: ${check.more} more like these`);
  if (check.findings.length > 0) return;
  say("logs", "ok", `logs: ${check.sessions} sessions with ${check.events} events are sound`);
}

async function checkMesh(input: CommandInput, config: ResolvedConfig, say: Say): Promise<void> {
  const url = urlOf(input);
  if (url === undefined || (await probe(url)) === "free") {
    say("mesh", "note", `no mesh runs${url === undefined ? "" : ` at ${url}`}: \`npm start\` starts one`);
    // With --url another mesh is meant, and the port here is not looked at.
    if (input.flags.url === undefined) await checkPort(config.listen, say);
    await checkModels(config, undefined, say);
    checkTools(config, await tryServers(config, existsSync), say);
    return;
  }
  let transport: Transport;
  try {
    transport = connectMesh(input);
    await sayStatus(transport, url, say);
  } catch (error) {
    const advice = "Another program may have the port: choose one with --listen or ATOLL_LISTEN";
    say(
      "mesh",
      "wrong",
      `something answers at ${url}, but not as the mesh of ${config.dataDir}: ${String(error)}. ${advice}`,
    );
    return;
  }
  const models = await tryTo("model", say, async () => listModels(transport));
  if (models !== undefined) sayModels(models, config, say);
  await checkModels(config, models, say);
  const facts = await tryTo("tools", say, async () => askMeshForTools(transport));
  if (facts !== undefined) checkTools(config, facts, say);
}

/** Undefined when no mesh of this data folder wrote down where it is: the token goes to no stranger who has the port. */
function urlOf(input: CommandInput): string | undefined {
  if (input.flags.url === undefined && !existsSync(addressFile(input.config().dataDir))) return undefined;
  try {
    return meshUrl(input);
  } catch (error) {
    if (error instanceof MeshNotRunning) return undefined;
    throw error;
  }
}

async function sayStatus(transport: Transport, url: string, say: Say): Promise<void> {
  const status = await createClient(AdminService, transport).getStatus({}, { timeoutMs: 10_000 });
  for (const [index, { version, services, rssBytes }] of status.instances.entries()) {
    const where = index === 0 ? `at ${url}` : "beside it";
    say("mesh", "ok", `mesh ${version} ${where}: ${services.join(", ")}; ${Math.round(Number(rssBytes) / 1e6)} MB`);
  }
  for (const { name, health, problem } of status.components) {
    // The servers are asked for one by one.
    if (name.startsWith("mcp/")) continue;
    say("mesh", health === Health.OK ? "ok" : "wrong", problem === "" ? name : `${name}: ${problem}`);
  }
}

async function listModels(transport: Transport): Promise<Model[]> {
  const client = createClient(AgentService, transport);
  const models: Model[] = [];
  for (let pageToken = ""; ; ) {
    const page = await client.listModels({ pageToken }, { timeoutMs: 10_000 });
    models.push(...page.models);
    pageToken = page.nextPageToken;
    if (pageToken === "") return models;
  }
}

/** Only what does not work: whether one works is asked of its address. */
function sayModels(models: readonly Model[], config: ResolvedConfig, say: Say): void {
  const used = new Set([...config.agents.values()].map(({ model }) => model));
  for (const { model, available, problem } of models) {
    if (!available) say("model", used.has(model) ? "wrong" : "note", `model ${model}, of the mesh: ${problem}`);
  }
}

async function tryTo<T>(check: string, say: Say, run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    say(
      check,
      "wrong",
      `${check}: the mesh does not answer: ${error instanceof Error ? error.message : String(error)}`,
    );
    return undefined;
  }
}

function probe(url: string): Promise<"taken" | "free"> {
  const { hostname, port, protocol } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port) || (protocol === "https:" ? 443 : 80),
    });
    socket.setTimeout(probeTimeoutMs);
    const end = (outcome: "taken" | "free") => () => {
      socket.destroy();
      resolve(outcome);
    };
    socket.once("connect", end("taken"));
    socket.once("error", end("free"));
    socket.once("timeout", end("free"));
  });
}
