/** `atoll up` and `atoll serve`: run a mesh, or a part of one, until a signal. */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findModelsWithoutKey } from "../kernel/config/check-models.ts";
import { ConfigError } from "../kernel/config/config-error.ts";
import { describeWarning } from "../kernel/config/config-warning.ts";
import { partFolders } from "../kernel/config/part-folders.ts";
import type { ResolvedConfig } from "../kernel/config/resolved-config.ts";
import { createLog, type Log } from "../kernel/log.ts";
import { onSignals } from "../kernel/signals.ts";
import type { StoreUnavailable } from "../kernel/store/store-errors.ts";
import { addressFile, type Mesh, type ServiceName, serviceNames, startMesh } from "../mesh.ts";
import { buildWebPage } from "./build-web-page.ts";
import { type Command, type CommandInput, UsageError } from "./command.ts";
import { seedWorkspace } from "./seed-workspace.ts";
import { trimMemoryWhenIdle } from "./trim-memory.ts";
import { packageFolder, readVersion } from "./version.ts";

export const up: Command = {
  usage: "[flags]",
  summary: "Run the whole mesh in this process.",
  flags: ["listen", "log-level"],
  run: (input) => run(input, serviceNames),
};

export const serve: Command = {
  usage: "--services=LIST [flags]",
  summary: "Run some of the services in this process; the others are found by their addresses.",
  flags: ["services", "listen", "session", "agent", "toolrouter", "log-level"],
  run: (input) => run(input, readServices(input.flags.services)),
};

function readServices(list: string | undefined): readonly ServiceName[] {
  const names = (list ?? "").split(",").map((name) => name.trim());
  const unknown = names.find((name) => !isService(name));
  if (unknown === undefined) return names.filter(isService);
  const known = serviceNames.join(", ");
  throw new UsageError(
    unknown === ""
      ? `--services is required: one or more of ${known}`
      : `--services: no such service: ${unknown}; there are ${known}`,
  );
}

function isService(name: string): name is ServiceName {
  return (serviceNames as readonly string[]).includes(name);
}

async function run({ config: readConfig, output }: CommandInput, services: readonly ServiceName[]): Promise<number> {
  const config = readConfig();
  const withoutKey = services.includes("agent") ? findModelsWithoutKey(config) : [];
  if (withoutKey.length > 0) throw new ConfigError(withoutKey);
  const log = createLog(config.log);
  for (const { path, text, source } of config.warnings) log.warn({ path, ...source }, text);
  const webFolder = join(packageFolder(), "web", "dist");
  const hasGateway = services.includes("gateway");
  if (hasGateway && !existsSync(join(webFolder, "index.html"))) await buildWebPage(packageFolder(), output);
  if (services.includes("toolrouter")) {
    await partFolders(config.dataDir, config.workspaceDir);
    seedWorkspace(config.workspaceDir);
  }
  const startedAtMs = performance.now();
  const mesh = await startMesh({
    ...{ config, services, log, version: readVersion(), webFolder },
    onStoreBroken: (error) => stopAtOnce(error, log),
  });
  const watch = onSignals(mesh.lifecycle, { log, drainTimeoutMs: config.lifecycle.drainTimeoutMs });
  if (hasGateway) writeFileSync(addressFile(config.dataDir), `${mesh.url}\n`, { mode: 0o600 });
  log.info({ url: mesh.url, services, inMs: Math.round(performance.now() - startedAtMs) }, "ready");
  output.line(
    hasGateway ? describeMesh(mesh, config, output.isTerminal) : `atoll ${services.join(", ")} ready at ${mesh.url}`,
  );
  trimMemoryWhenIdle(() => mesh.connections() === 0);
  const { exitCode } = await watch.stopped;
  if (hasGateway) rmSync(addressFile(config.dataDir), { force: true });
  leaveInAnyCase(exitCode, log);
  return exitCode;
}

/** Nothing may be written, answered or drained any more: the next start reads what the disk really has. */
function stopAtOnce(error: StoreUnavailable, log: Log): never {
  log.error({ error }, "the disk did not confirm a write: the process stops at once; check the disk, then start again");
  process.exit(1);
}

const leaveWithinMs = 2_000;

/** Everything is closed. What still keeps the process alive then is a fault of ours: it must not keep it for ever. */
function leaveInAnyCase(exitCode: number, log: Log): void {
  const leave = (): void => {
    log.error({ open: process.getActiveResourcesInfo() }, "something was left open; the process ends anyway");
    process.exit(exitCode);
  };
  setTimeout(leave, leaveWithinMs).unref();
}

const maxShownWarnings = 8;

/** The link lets whoever reads it in as the administrator: it is for a person's eyes, and never for a log. */
function describeMesh(mesh: Mesh, config: ResolvedConfig, isTerminal: boolean): string {
  const model = config.agents.get(config.defaultAgent)?.model ?? "";
  const token =
    config.dataDir === join(process.cwd(), ".atoll") ? "npx atoll token" : `npx atoll token --data ${config.dataDir}`;
  return [
    "",
    `  Atoll is ready at ${mesh.url}`,
    `  model        ${model}${model === "offline" ? " (scripted; set ANTHROPIC_API_KEY for Claude)" : ""}`,
    "",
    `  web page     ${isTerminal ? mesh.createLink() : `${mesh.url}, with a link from: ${token} --link`}`,
    '  chat         npx atoll chat "which files are in the workspace, and what does notes.md say?"',
    `  buf curl     npx buf curl --http2-prior-knowledge -H "authorization: Bearer $(${token})" \\`,
    `                 -d '{"requestId":"r1","message":{"content":[{"text":{"text":"hello"}}]}}' \\`,
    `                 ${mesh.url}/atoll.gateway.v1.GatewayService/SendMessage`,
    "",
    ...describeWarnings(config),
  ].join("\n");
}

function describeWarnings({ warnings }: ResolvedConfig): string[] {
  if (warnings.length === 0) return [];
  const shown = warnings.slice(0, maxShownWarnings).map((warning) => `    ${describeWarning(warning)}`);
  const more = warnings.length - shown.length;
  const head = `  configuration: ${warnings.length} ${warnings.length === 1 ? "warning" : "warnings"}`;
  return [head, ...shown, ...(more > 0 ? [`    … and ${more} more: npx atoll doctor`] : []), ""];
}
