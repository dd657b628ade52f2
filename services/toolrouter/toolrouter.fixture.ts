/** A tool router with real stores and real MCP servers, for tests: called through Connect in this process. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { create } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { onTestFinished } from "vitest";
import { GetRunResponseSchema } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ServerState } from "../../gen/atoll/tool/v1/tool_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { checkReasons } from "../../test/support/check-reasons.ts";
import type { Script, SloppyRequest } from "../../test/support/sloppy-mcp/script.ts";
import { sloppyProgram } from "../../test/support/sloppy-mcp/sloppy-program.ts";
import type { RunGrant } from "../kernel/auth/principal.ts";
import { systemClock } from "../kernel/clock.ts";
import { newId } from "../kernel/id.ts";
import { createLog } from "../kernel/log.ts";
import type { BlobStore } from "../kernel/store/blob-store.ts";
import { openBlobStore } from "../kernel/store/open-blob-store.ts";
import type { Caller } from "./caller.ts";
import type { RunReader } from "./calls/require-run.ts";
import { openCallLedger } from "./ledger/open-call-ledger.ts";
import { startToolRouter } from "./register.ts";
import type { McpServerSettings } from "./servers/server-settings.ts";

export const scope = { tenant: "local", principal: "user:test" };
const probeFile = path.resolve(import.meta.dirname, "../../test/support/mcp-probe-server.ts");
const baseEnv = { PATH: process.env.PATH ?? "", HOME: "/home/of-the-test" };

/** Somebody with the token of a run. */
export function holderOf(run: Partial<RunGrant> = {}): Caller {
  return { scope, isToolsAdmin: false, run: { sessionId: "ses_1", runId: "run_1", agentId: "main", epoch: 1, ...run } };
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
    agentTools = { main: ["*"] } as Readonly<Record<string, readonly string[]>>,
    caller = (): Caller => ({ scope, run: undefined, isToolsAdmin: true }),
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
  part.startServers();
  const client = createClient(ToolRouterService, checkReasons(createRouterTransport(part.routes)));
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

const rawFile = path.resolve(import.meta.dirname, "../../test/support/mcp-raw-server.ts");

/** A server whose list of tools is what `pages` says, as it is written (test/support/mcp-raw-server.ts). */
export interface RawServer {
  readonly settings: McpServerSettings;
  readonly history: string;
  /** Changes what it answers from now on. */
  setPages(...pages: readonly string[]): void;
}

export function rawServer(...pages: readonly string[]): RawServer {
  const folder = temporaryFolder();
  const [file, history] = [path.join(folder, "pages.json"), path.join(folder, "history")];
  const setPages = (...next: readonly string[]): void => writeFileSync(file, JSON.stringify(next));
  setPages(...pages);
  return { settings: stdio(process.execPath, [rawFile, `--pages=${file}`, `--history=${history}`]), history, setPages };
}

export function stdio(command: string, args: string[], settings: Partial<McpServerSettings> = {}): McpServerSettings {
  const env = { ...baseEnv, PROBE: "configured" };
  return withDefaults({ kind: "stdio", command, args, env, cwd: tmpdir() }, settings);
}

/** A program that answers what a test wants (test/support/sloppy-mcp/script.ts), and what it was asked so far. */
export function sloppy(
  script: Script,
  settings: Partial<McpServerSettings> = {},
): { readonly settings: McpServerSettings; readonly requests: () => SloppyRequest[] } {
  const { command, args, requests } = sloppyProgram(script);
  return { settings: stdio(command, args, settings), requests };
}

export function http(url: string, settings: Partial<McpServerSettings> = {}): McpServerSettings {
  return withDefaults({ kind: "http", url, headers: { "x-key": "secret" } }, settings);
}

function withDefaults(target: McpServerSettings["target"], settings: Partial<McpServerSettings>): McpServerSettings {
  const limits = { startTimeoutMs: 20_000, callTimeoutMs: 20_000, callMaxDurationMs: 60_000 };
  const uses = { problem: "", title: "", includeTools: [], excludeTools: [] };
  return { target, disabled: false, ...uses, ...limits, repeatableTools: [], trusted: true, ...settings };
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
    // A last line without its end is still being written.
    lines = readFileSync(history, "utf8").split("\n").slice(0, -1);
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

/** Waits until the servers answer: a list waits 5 s for them, and a busy machine may take longer to start a process. */
export async function whenReady({ client }: RunningRouter, ...names: readonly string[]): Promise<void> {
  const untilMs = Date.now() + 60_000;
  for (const name of names) {
    while ((await client.getServer({ name })).server?.state !== ServerState.READY) {
      if (Date.now() > untilMs) throw new Error(`the server ${name} is not ready after 60 s`);
      await systemClock.sleep(20);
    }
  }
}

/** Everything that a stream gives. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}
