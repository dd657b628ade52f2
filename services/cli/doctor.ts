/** `atoll doctor`: what is wrong and what to do. Every check says one line. Makes and changes nothing. */
import { constants, existsSync } from "node:fs";
import { access, stat } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { AdminService, Health } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import { AgentService } from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { ConfigError } from "../kernel/config/config-error.ts";
import type { ResolvedConfig } from "../kernel/config/resolved-config.ts";
import { checkLogs } from "../kernel/store/open-stores.ts";
import type { Command, CommandInput } from "./command.ts";
import { connectMesh, meshUrl } from "./connect-mesh.ts";
import { packageFolder, readVersion } from "./version.ts";

type Verdict = "ok" | "note" | "wrong";

const marks: Readonly<Record<Verdict, string>> = { ok: "✓", note: "·", wrong: "✗" };
const leastNodeMajor = 24;
const probeTimeoutMs = 2_000;

export const doctor: Command = {
  usage: "",
  summary: "Say what is wrong with this installation or the running mesh, and what to do.",
  flags: ["url", "listen"],
  async run(input) {
    let wrong = 0;
    const say = (verdict: Verdict, text: string): void => {
      if (verdict === "wrong") wrong += 1;
      input.output.line(`${marks[verdict]} ${text}`);
    };
    say("ok", `atoll ${readVersion()}`);
    checkNode(say);
    const config = readConfig(input, say);
    if (config !== undefined) {
      await checkFolders(config, say);
      await checkStoredLogs(config.dataDir, say);
      checkModel(config, say);
      await checkMesh(input, config, say);
    }
    if (!existsSync(join(packageFolder(), "web", "dist", "index.html"))) {
      say("note", "the web page is not built: the first start builds it, or `npm run build:web`");
    }
    input.output.line(wrong === 0 ? "Nothing is wrong." : `${wrong} ${wrong === 1 ? "thing is" : "things are"} wrong.`);
    return wrong === 0 ? 0 : 1;
  },
};

type Say = (verdict: Verdict, text: string) => void;

function checkNode(say: Say): void {
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= leastNodeMajor) say("ok", `Node ${process.versions.node}`);
  else
    say(
      "wrong",
      `Node ${process.versions.node} is too old: run through npm or npx, which brings Node ${leastNodeMajor}`,
    );
}

function readConfig(input: CommandInput, say: Say): ResolvedConfig | undefined {
  try {
    const config = input.config();
    say("ok", `configuration: ${config.configFile ?? "defaults (no atoll.yaml)"}`);
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    say("wrong", error.message);
    return undefined;
  }
}

const groupAndOthers = 0o077;

async function checkFolders({ dataDir, workspaceDir }: ResolvedConfig, say: Say): Promise<void> {
  for (const [name, folder] of [
    ["data folder", dataDir],
    ["workspace", workspaceDir],
  ] as const) {
    try {
      const { mode } = await stat(folder);
      await access(folder, constants.W_OK | constants.X_OK);
      const isOpen = folder === dataDir && process.platform !== "win32" && (mode & groupAndOthers) !== 0;
      if (isOpen) say("wrong", `${name}: other users of this machine can enter ${folder}: chmod 700 it`);
      else say("ok", `${name}: ${folder}`);
    } catch (error) {
      const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (isMissing) say("note", `${name}: ${folder} is not there yet; the first start makes it`);
      else say("wrong", `${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

async function checkStoredLogs(dataDir: string, say: Say): Promise<void> {
  const check = await checkLogs(dataDir);
  switch (check.kind) {
    case "absent":
      return say("note", "logs: none are stored here yet");
    case "in-use":
      return say("note", "logs: not checked, because a mesh has them open: stop it, then run `atoll doctor` again");
    case "unreadable":
      return say("wrong", `logs: ${check.problem}`);
    case "checked":
      break;
  }
  for (const { tenant, sessionId, seq, problem } of check.findings) {
    const event = seq === 0 ? "" : `event ${seq}: `;
    say(
      "wrong",
      sessionId === "" ? `logs: ${problem}` : `session ${sessionId} of tenant ${tenant}: ${event}${problem}`,
    );
  }
  if (check.more > 0) say("wrong", `logs: ${check.more} more like these`);
  if (check.findings.length === 0) say("ok", `logs: ${check.sessions} sessions with ${check.events} events are sound`);
}

function checkModel(config: ResolvedConfig, say: Say): void {
  const { anthropic, defaultModel } = config.models;
  if (anthropic.apiKey !== undefined) say("ok", `model ${defaultModel}, with an Anthropic key`);
  else say("note", `model ${defaultModel}: scripted; set ANTHROPIC_API_KEY for Claude`);
}

async function checkMesh(input: CommandInput, config: ResolvedConfig, say: Say): Promise<void> {
  const url = meshUrl(input);
  const holder = await probe(url);
  if (holder === "free") {
    say("note", `no mesh runs at ${url}: \`npm start\` starts one`);
    return;
  }
  try {
    const transport = connectMesh(input);
    const status = await createClient(AdminService, transport).getStatus({}, { timeoutMs: 10_000 });
    say(
      "ok",
      `mesh ${status.version} at ${url}: ${status.services.join(", ")}; ${Math.round(Number(status.rssBytes) / 1e6)} MB`,
    );
    for (const { name, health, problem } of status.components) {
      say(health === Health.OK ? "ok" : "wrong", problem === "" ? name : `${name}: ${problem}`);
    }
    const { models } = await createClient(AgentService, transport).listModels({}, { timeoutMs: 10_000 });
    for (const model of models) {
      say(model.available ? "ok" : "note", `model ${model.model}${model.problem === "" ? "" : `: ${model.problem}`}`);
    }
  } catch (error) {
    say(
      "wrong",
      `something answers at ${url}, but not as the mesh of ${config.dataDir}: ${String(error)}. Another program may have the port: choose one with --listen or ATOLL_LISTEN`,
    );
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
