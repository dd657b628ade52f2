/** `atoll up` and `atoll serve`: run a mesh, or a part of one, until a signal. */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError } from "../../kernel/config/config-error.ts";
import { addressFile } from "../../kernel/config/folders/data-dir.ts";
import { partFolders } from "../../kernel/config/folders/part-folders.ts";
import { findModelsWithoutKey } from "../../kernel/config/resolving/check-models.ts";
import { createLog, type Log } from "../../kernel/log.ts";
import { builtPage, packageFolder } from "../../kernel/package-files.ts";
import { type ServiceName, serviceNames } from "../../kernel/service-names.ts";
import { onSignals } from "../../kernel/signals.ts";
import { type Command, type CommandInput, UsageError } from "../command.ts";
import { noMoreWords } from "../parse-command-line.ts";
import { describeMesh } from "../starting/banner.ts";
import { buildWebPage } from "../starting/build-web-page.ts";
import { seedWorkspace } from "../starting/seed-workspace.ts";
import { trimMemoryWhenIdle } from "../starting/trim-memory.ts";

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

async function run(
  { config: readConfig, output, words }: CommandInput,
  services: readonly ServiceName[],
): Promise<number> {
  noMoreWords(services === serviceNames ? "up" : "serve", words);
  const config = readConfig();
  const withoutKey = services.includes("agent") ? findModelsWithoutKey(config) : [];
  if (withoutKey.length > 0) throw new ConfigError(withoutKey);
  const log = createLog(config.log);
  for (const { path, text, source } of config.warnings) log.warn({ path, ...source }, text);
  const hasGateway = services.includes("gateway");
  if (hasGateway && !existsSync(join(builtPage(), "index.html"))) await buildWebPage(packageFolder(), output);
  if (services.includes("toolrouter")) {
    await partFolders(config.dataDir, config.workspaceDir);
    seedWorkspace(config.workspaceDir);
  }
  const startedAtMs = performance.now();
  // Only now: help and a wrong flag do not wait for it.
  const { startMesh } = await import("../../mesh/start-mesh.ts");
  const mesh = await startMesh({
    ...{ config, services, log },
  });
  const watch = onSignals(mesh.lifecycle, { log, drainTimeoutMs: config.lifecycle.drainTimeoutMs });
  if (hasGateway) writeFileSync(addressFile(config.dataDir), `${mesh.url}\n`, { mode: 0o600 });
  log.info({ url: mesh.url, services, inMs: Math.round(performance.now() - startedAtMs) }, "ready");
  if (hasGateway) {
    // The link lets whoever reads it in as the administrator: it is for a person's eyes, and never for a log.
    const link = output.isTerminal ? mesh.createLink() : undefined;
    for (const line of describeMesh({ url: mesh.url, link }, config)) output.line(line);
  } else output.line(`atoll ${services.join(", ")} ready at ${mesh.url}`);
  trimMemoryWhenIdle(() => mesh.connections() === 0);
  const { exitCode } = await watch.stopped;
  if (hasGateway) rmSync(addressFile(config.dataDir), { force: true });
  leaveInAnyCase(exitCode, log);
  return exitCode;
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
