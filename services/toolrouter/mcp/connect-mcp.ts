/**
 * Connects to an MCP server with the SDK's client over a transport of ours.
 *
 * Keeps T1: how a call ended is told apart without matching text: an answer, a refusal, never sent, or lost.
 * Keeps L7: connecting, listing and calling have a total timeout; at most 100 pages and 10 000 tools are listed.
 */
import type { JsonObject } from "@bufbuild/protobuf";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import {
  ListToolsResultSchema,
  McpError,
  ResultSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../kernel/log.ts";
import { HttpTransport } from "./http-transport.ts";
import type { McpCallEnd, McpCallOptions, McpClosed, McpConnection, McpTarget, McpTool } from "./mcp-connection.ts";
import { LostAnswer, type McpTransport, NotSent } from "./mcp-transport.ts";
import { readAnswer, readTool } from "./read-answer.ts";
import { StdioTransport } from "./stdio-transport.ts";

const maxPages = 100;
const maxTools = 10_000;
/** The SDK's own timer is never the one that fires: ours is total and knows why. */
const sdkTimeoutMs = 2_000_000_000;

export interface McpConnecting {
  readonly target: McpTarget;
  /** In all, the first greeting included. */
  readonly timeoutMs: number;
  /** The server says that its tools changed. */
  readonly onToolsChanged: () => void;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly clock: Clock;
}

/** Connects. Rejects with the problem; whatever was started is ended by then. */
export async function connectMcp(options: McpConnecting): Promise<McpConnection> {
  const { target, timeoutMs, onToolsChanged, log, clock } = options;
  const transport = target.kind === "stdio" ? new StdioTransport(target, log, clock) : new HttpTransport(target, clock);
  const client = new Client({ name: "atoll", version: "0.1.0" }, { capabilities: {} });
  const closed = Promise.withResolvers<McpClosed>();
  client.onclose = () => {
    const { problem } = transport;
    closed.resolve(problem === undefined ? { kind: "closed" } : { kind: "ended", problem });
  };
  client.onerror = (error) => log.debug({ error }, "an MCP connection reports a fault");
  client.setNotificationHandler(ToolListChangedNotificationSchema, onToolsChanged);
  const limit = limitTime(timeoutMs, options.signal, clock);
  try {
    await limit.race(client.connect(transport, { signal: limit.signal, timeout: sdkTimeoutMs }));
  } catch (error) {
    await transport.close();
    throw new Error(explain(error, transport, limit.ended, timeoutMs), { cause: error });
  } finally {
    limit.stop();
  }
  const version = client.getServerVersion();
  return {
    title: version?.title ?? version?.name ?? "",
    version: version?.version ?? "",
    closed: closed.promise,
    close: () => transport.close(),
    listTools: (signal) => listTools(client, transport, signal, timeoutMs, clock),
    callTool: (name, args, call) => callTool(client, transport, name, args, call, clock),
  };
}

async function listTools(
  client: Client,
  transport: McpTransport,
  signal: AbortSignal,
  timeoutMs: number,
  clock: Clock,
): Promise<readonly McpTool[]> {
  if (client.getServerCapabilities()?.tools === undefined) return [];
  const limit = limitTime(timeoutMs, signal, clock);
  const tools: McpTool[] = [];
  let cursor: string | undefined;
  try {
    for (let page = 0; page < maxPages; page++) {
      const params = cursor === undefined ? {} : { cursor };
      const request = { method: "tools/list", params } as const;
      const answer = await limit.race(
        client.request(request, ListToolsResultSchema, { signal: limit.signal, timeout: sdkTimeoutMs }),
      );
      tools.push(...answer.tools.map(readTool));
      if (tools.length > maxTools) throw new Error(`it lists more than ${maxTools} tools`);
      cursor = answer.nextCursor;
      if (cursor === undefined || cursor === "") return tools;
    }
    throw new Error(`its list of tools has more than ${maxPages} pages`);
  } catch (error) {
    throw new Error(explain(error, transport, limit.ended, timeoutMs), { cause: error });
  } finally {
    limit.stop();
  }
}

async function callTool(
  client: Client,
  transport: McpTransport,
  name: string,
  args: JsonObject,
  { signal, timeoutMs, onProgress }: McpCallOptions,
  clock: Clock,
): Promise<McpCallEnd> {
  if (signal.aborted) return { kind: "cancelled" };
  if (client.transport === undefined) {
    return { kind: "not-sent", problem: transport.problem ?? "the connection was closed" };
  }
  const limit = limitTime(timeoutMs, signal, clock);
  const request = { method: "tools/call", params: { name, arguments: args } } as const;
  try {
    const result = await limit.race(
      client.request(request, ResultSchema, {
        signal: limit.signal,
        timeout: sdkTimeoutMs,
        onprogress: ({ progress, total, message }) =>
          onProgress({ progress, total: total ?? 0, message: message ?? "" }),
      }),
    );
    return { kind: "answered", answer: readAnswer(result) };
  } catch (error) {
    if (limit.ended !== undefined) return { kind: limit.ended };
    if (error instanceof NotSent) return { kind: "not-sent", problem: error.message };
    if (error instanceof McpError && error.data instanceof LostAnswer)
      return { kind: "lost", problem: error.data.problem };
    if (client.transport === undefined)
      return { kind: "lost", problem: transport.problem ?? "the connection was closed" };
    if (error instanceof McpError) return { kind: "rejected", problem: error.message };
    // The request broke after it left, or the answer breaks the protocol.
    return { kind: "lost", problem: messageOf(error) };
  } finally {
    limit.stop();
  }
}

interface TimeLimit {
  /** Aborts when the time is over or the caller aborts. */
  readonly signal: AbortSignal;
  readonly ended: "timed-out" | "cancelled" | undefined;
  /** Does not wait for the SDK to notice the abort. */
  race<T>(work: Promise<T>): Promise<T>;
  stop(): void;
}

function limitTime(timeoutMs: number, signal: AbortSignal, clock: Clock): TimeLimit {
  const abort = new AbortController();
  const over = Promise.withResolvers<never>();
  over.promise.catch(() => undefined);
  let ended: TimeLimit["ended"];
  const end = (why: "timed-out" | "cancelled"): void => {
    if (ended !== undefined) return;
    ended = why;
    over.reject(new Error(why));
    abort.abort(why);
  };
  const cancel = (): void => end("cancelled");
  const timer = clock.setTimer(timeoutMs, () => end("timed-out"));
  if (signal.aborted) cancel();
  else signal.addEventListener("abort", cancel, { once: true });
  return {
    signal: abort.signal,
    get ended() {
      return ended;
    },
    race: (work) => Promise.race([work, over.promise]),
    stop() {
      timer.cancel();
      signal.removeEventListener("abort", cancel);
    },
  };
}

function explain(error: unknown, transport: McpTransport, ended: TimeLimit["ended"], timeoutMs: number): string {
  if (transport.problem !== undefined) return transport.problem;
  if (ended === "timed-out") return `it did not answer within ${timeoutMs} ms`;
  if (ended === "cancelled") return "it was stopped while it was starting";
  return messageOf(error);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
