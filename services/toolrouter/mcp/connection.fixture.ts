/** Connections to sloppy servers (test/support/sloppy-mcp/script.ts), for tests. */
import { tmpdir } from "node:os";
import { onTestFinished } from "vitest";
import type { Script, SloppyRequest } from "../../../test/support/sloppy-mcp/script.ts";
import { sloppyProgram } from "../../../test/support/sloppy-mcp/sloppy-program.ts";
import { type SloppyHttp, startSloppyHttp } from "../../../test/support/sloppy-mcp/start-sloppy-http.ts";
import { type Clock, systemClock } from "../../kernel/clock.ts";
import { createLog } from "../../kernel/log.ts";
import type { ManualClock } from "../../kernel/manual-clock.fixture.ts";
import { connectMcp } from "./connect-mcp.ts";
import type { McpCallEnd, McpConnection, McpProgress, McpTarget } from "./mcp-connection.ts";

export interface Connected {
  readonly connection: McpConnection;
  /** Calls a tool, by default `work`. */
  readonly call: (options?: CallOptions) => Promise<McpCallEnd>;
  /** How often the server said that its tools changed. */
  readonly changes: () => number;
}

export interface CallOptions {
  readonly name?: string;
  readonly text?: string;
  readonly silenceTimeoutMs?: number;
  readonly maxDurationMs?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: McpProgress) => void;
}

export async function connect(target: McpTarget, clock: Clock = systemClock, timeoutMs = 20_000): Promise<Connected> {
  let changes = 0;
  const connection = await connectMcp({
    target,
    timeoutMs,
    onToolsChanged: () => changes++,
    signal: new AbortController().signal,
    log: createLog({ level: "error", format: "json", destination: { write: () => undefined } }),
    clock,
  });
  onTestFinished(async () => {
    // A process is ended in its own time: nobody else moves a manual clock then.
    const moving = setInterval(() => "advance" in clock && (clock as ManualClock).advance(100), 10);
    await connection.close();
    clearInterval(moving);
  });
  const call = ({ name = "work", text = "", ...options }: CallOptions = {}): Promise<McpCallEnd> =>
    connection.callTool(name, text === "" ? {} : { text }, {
      signal: options.signal ?? new AbortController().signal,
      silenceTimeoutMs: options.silenceTimeoutMs ?? 100_000,
      maxDurationMs: options.maxDurationMs ?? 100_000,
      onProgress: options.onProgress ?? (() => undefined),
    });
  return { connection, call, changes: () => changes };
}

export function programOf(script: Script): { readonly target: McpTarget; readonly requests: () => SloppyRequest[] } {
  const { command, args, requests } = sloppyProgram(script);
  const target = { kind: "stdio", command, args, env: { PATH: process.env.PATH ?? "" }, cwd: tmpdir() } as const;
  return { target, requests };
}

export async function connectProgram(script: Script, clock?: Clock) {
  const { target, requests } = programOf(script);
  return { ...(await connect(target, clock)), requests };
}

export async function connectHttp(script: Script, clock?: Clock): Promise<Connected & { readonly server: SloppyHttp }> {
  const server = await startSloppyHttp(script);
  return { ...(await connect({ kind: "http", url: server.url, headers: {} }, clock)), server };
}

/** The methods that a server was asked, without what every connection begins with. */
export function methodsOf(requests: readonly SloppyRequest[]): string[] {
  return requests.map(({ method }) => method);
}
