/**
 * Connects to an MCP server over a transport of ours: the SDK's client greets and lists, tool-calls.ts calls.
 *
 * Keeps L7: connecting and listing have a total timeout.
 */
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  McpError,
  type RequestId,
  ResultSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../kernel/log.ts";
import { HttpTransport } from "./http/http-transport.ts";
import type { McpClosed, McpConnection, McpTarget, McpToolPage } from "./mcp-connection.ts";
import { type McpTransport, RequestFault } from "./mcp-transport.ts";
import { mendMessage } from "./messages/mend-message.ts";
import { PageRefused, readToolPages } from "./messages/read-tool-pages.ts";
import { StdioTransport } from "./stdio/stdio-transport.ts";
import { ToolCalls } from "./tool-calls.ts";

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
  const calls = new ToolCalls(transport, clock);
  const closed = Promise.withResolvers<McpClosed>();
  client.onclose = () => {
    const { problem } = transport;
    closed.resolve(problem === undefined ? { kind: "closed" } : { kind: "ended", problem });
  };
  transport.onerror = (error) => log.debug({ error }, "an MCP connection reports a fault");
  client.onerror = (error) => log.debug({ error }, "an MCP connection reports a fault");
  client.setNotificationHandler(ToolListChangedNotificationSchema, onToolsChanged);
  const limit = limitTime(timeoutMs, options.signal, clock);
  try {
    await limit.race(client.connect(shareWith(calls, transport), { signal: limit.signal, timeout: sdkTimeoutMs }));
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
    callTool: (name, args, call) => calls.call(name, args, call),
  };
}

/** The transport as the SDK sees it: without what is about calls, and with what it would refuse mended. */
function shareWith(calls: ToolCalls, transport: McpTransport): Transport {
  let greeting: RequestId | undefined;
  const seen: Transport = {
    start: () => transport.start(),
    send: (message) => {
      if ("method" in message && message.method === "initialize" && "id" in message) greeting = message.id;
      return transport.send(message);
    },
    close: () => transport.close(),
    setProtocolVersion: (version) => transport.setProtocolVersion(version),
  };
  transport.onmessage = (message, request) => {
    if (!calls.take(message, request)) seen.onmessage?.(mendMessage(message, greeting));
  };
  transport.onfault = (id, fault) => {
    if (calls.fail(id, fault)) return;
    // A code that no server gives: the fault is what counts.
    seen.onmessage?.({ jsonrpc: "2.0", id, error: { code: 0, message: fault.message, data: fault } });
  };
  transport.onactivity = (id) => calls.sawSign(id);
  transport.onclose = () => {
    calls.close(transport.problem ?? "the connection was closed");
    seen.onclose?.();
  };
  return seen;
}

async function* listTools(
  client: Client,
  transport: McpTransport,
  signal: AbortSignal,
  timeoutMs: number,
  clock: Clock,
): AsyncGenerator<McpToolPage> {
  if (client.getServerCapabilities()?.tools === undefined) return;
  const limit = limitTime(timeoutMs, signal, clock);
  try {
    yield* readToolPages(async (cursor) => {
      const request = { method: "tools/list", params: cursor === undefined ? {} : { cursor } } as const;
      try {
        // Not the SDK's own schema: one tool that breaks it would cost the whole list (F1).
        return await limit.race(client.request(request, ResultSchema, { signal: limit.signal, timeout: sdkTimeoutMs }));
      } catch (error) {
        if (isAnswer(error) && limit.ended === undefined && client.transport !== undefined)
          throw new PageRefused(explain(error, transport, undefined, timeoutMs));
        throw new Error(explain(error, transport, limit.ended, timeoutMs), { cause: error });
      }
    });
  } finally {
    limit.stop();
  }
}

/** Whether the server answered, however badly: it lives, and is not started again for that. */
function isAnswer(error: unknown): error is McpError {
  if (!(error instanceof McpError)) return false;
  return !(error.data instanceof RequestFault) || error.data.kind === "unreadable" || error.data.kind === "refused";
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
  if (ended === "timed-out") {
    const { lastWords } = transport;
    return `it did not answer within ${timeoutMs} ms${lastWords === "" ? "" : `; it wrote: ${lastWords}`}`;
  }
  if (ended === "cancelled") return "it was stopped while it was starting";
  if (!(error instanceof McpError && error.data instanceof RequestFault)) return messageOf(error);
  const { kind, message } = error.data;
  return kind === "unreadable" ? `its answer can't be read: ${message}` : message;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
