/** A tool router with real stores and real MCP servers, for tests: called through Connect in this process. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { create } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { onTestFinished } from "vitest";
import { GetRunResponseSchema } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { RunGrant } from "../kernel/auth/principal.ts";
import { systemClock } from "../kernel/clock.ts";
import { newId } from "../kernel/id.ts";
import { createLog } from "../kernel/log.ts";
import type { BlobStore } from "../kernel/store/blob-store.ts";
import { openBlobStore, openCallLedger } from "../kernel/store/open-stores.ts";
import type { Caller } from "./caller.ts";
import { startToolRouter } from "./register.ts";
import type { RunReader } from "./require-run.ts";
import type { McpServerSettings } from "./server-settings.ts";

export const scope = { tenant: "local", principal: "user:test" };
const probeFile = path.resolve(import.meta.dirname, "../../test/support/mcp-probe-server.ts");
const baseEnv = { PATH: process.env.PATH ?? "", HOME: "/home/of-the-test" };

/** Somebody with the token of a run. */
export function holderOf(run: Partial<RunGrant> = {}): Caller {
  return { scope, run: { sessionId: "ses_1", runId: "run_1", agentId: "main", epoch: 1, ...run } };
}

export interface RunningRouter {
  readonly client: Client<typeof ToolRouterService>;
  readonly blobs: BlobStore;
  /** Lines of the log so far. */
  readonly logLines: readonly string[];
  readonly counts: () => { readonly readyServers: number; readonly calls: number };
  readonly close: () => Promise<void>;
}

/** Removed when the test is finished. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "atoll-toolrouter-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function startRouter(
  servers: Readonly<Record<string, McpServerSettings>>,
  {
    dataDir = temporaryFolder(),
    agentTools = { main: [] } as Readonly<Record<string, readonly string[]>>,
    caller = (): Caller => ({ scope, run: undefined }),
    /** Who says which runs are at work. */
    session = { getRun: async () => create(GetRunResponseSchema) } as RunReader,
  } = {},
): Promise<RunningRouter> {
  const nowMs = () => systemClock.nowMs();
  const ledger = await openCallLedger(dataDir, nowMs);
  const blobs = await openBlobStore(dataDir, nowMs);
  const logLines: string[] = [];
  const log = createLog({ level: "debug", format: "json", destination: { write: (line) => void logLines.push(line) } });
  const part = startToolRouter({
    ledger,
    blobs,
    servers: new Map(Object.entries(servers)),
    agentTools: new Map(Object.entries(agentTools)),
    log,
    clock: systemClock,
    instanceId: newId("ins"),
    callerOf: () => caller(),
    session,
  });
  const client = createClient(ToolRouterService, createRouterTransport(part.routes));
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= part.close().then(() => ledger.close());
    return closing;
  };
  onTestFinished(close);
  return { client, blobs, logLines, counts: part.counts, close };
}

/** The probe over standard input and output; `history` is a file. */
export function probe(
  history: string,
  settings: Partial<McpServerSettings> = {},
  flags: string[] = [],
): McpServerSettings {
  return stdio(process.execPath, [probeFile, `--history=${history}`, ...flags], settings);
}

export function stdio(command: string, args: string[], settings: Partial<McpServerSettings> = {}): McpServerSettings {
  const env = { ...baseEnv, PROBE: "configured" };
  return withDefaults({ kind: "stdio", command, args, env, cwd: tmpdir() }, settings);
}

export function http(url: string, settings: Partial<McpServerSettings> = {}): McpServerSettings {
  return withDefaults({ kind: "http", url, headers: { "x-key": "secret" } }, settings);
}

function withDefaults(target: McpServerSettings["target"], settings: Partial<McpServerSettings>): McpServerSettings {
  const limits = { startTimeoutMs: 20_000, callTimeoutMs: 20_000 };
  return { target, disabled: false, ...limits, repeatableTools: [], trusted: true, ...settings };
}

/** The probe as a process of its own that serves Streamable HTTP. */
export async function startHttpProbe(history: string): Promise<{ readonly url: string; readonly kill: () => void }> {
  const child = spawn(process.execPath, [probeFile, `--history=${history}`, "--http"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  for await (const url of createInterface(child.stdout)) return { url, kill: () => void child.kill("SIGKILL") };
  throw new Error("the probe ended before it told its address");
}

/** The calls of a tool that reached the probe. */
export function callsIn(history: string, tool: string): readonly unknown[] {
  let lines: string[] = [];
  try {
    lines = readFileSync(history, "utf8").trim().split("\n");
  } catch {
    // Nothing was written yet.
  }
  return (
    lines
      // The file is there a moment before its first line is.
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { tool: string; args: unknown })
      .filter((call) => call.tool === tool)
      .map((call) => call.args)
  );
}

/** Waits until the condition holds; throws after 10 s. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > untilMs) throw new Error("what the test waited for did not happen");
    await systemClock.sleep(20);
  }
}

/** Everything that a stream gives. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}
