/**
 * Takes a call to its server and brings back how it ended.
 *
 * Keeps T1: it is sent a second time only when the first surely never arrived, or when the operator marked the tool as
 * repeatable; never a third time. Keeps L7: everything together ends when the call has taken as long as it may in all.
 */

import type { JsonObject } from "@bufbuild/protobuf";
import type { ToolCall, ToolResult } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../kernel/log.ts";
import type { BlobStore } from "../../kernel/store/blob-store.ts";
import type { Scope } from "../../kernel/store/scope.ts";
import type { FoundTool } from "../catalog/find-tool.ts";
import type { McpCallEnd, McpProgress } from "../mcp/mcp-connection.ts";
import { boundAnswer } from "./bound-answer.ts";
import { answeredResult, neverDispatchedResult, unansweredResult } from "./tool-result.ts";

const maxDurationMs = 900_000;

export interface DispatchDeps {
  readonly blobs: BlobStore;
  readonly log: Log;
  readonly clock: Clock;
}

/** A call with its arguments as they go to the server, every digit of their numbers with them. */
export interface DispatchedCall {
  readonly call: ToolCall;
  readonly args: JsonObject;
}

/** Never rejects. */
export async function dispatchCall(
  deps: DispatchDeps,
  scope: Scope,
  { call, args }: DispatchedCall,
  found: FoundTool,
  signal: AbortSignal,
  onProgress: (progress: McpProgress) => void,
): Promise<ToolResult> {
  const { blobs, clock } = deps;
  const log = deps.log.child({ callId: call.callId, tool: call.tool });
  const { callTimeoutMs, callMaxDurationMs } = found.supervisor.settings;
  // Who names a time for this call knows that it may be silent for so long.
  const silenceTimeoutMs = call.timeoutMs === 0 ? callTimeoutMs : call.timeoutMs;
  const endsWithinMs = Math.min(maxDurationMs, call.timeoutMs === 0 ? callMaxDurationMs : call.timeoutMs);
  const startedAtMs = clock.monotonicMs();
  const leftMs = (): number => Math.max(1, startedAtMs + endsWithinMs - clock.monotonicMs());
  const send = (tool: FoundTool): Promise<McpCallEnd> =>
    tool.ready.connection.callTool(tool.entry.nameAtServer, args, {
      signal,
      silenceTimeoutMs,
      maxDurationMs: leftMs(),
      onProgress,
    });

  if (signal.aborted) return neverDispatchedResult(call.callId);
  let end = await send(found);
  if (end.kind === "not-sent" || (end.kind === "lost" && found.entry.tool.repeatable)) {
    const again = await findAgain(found, Math.min(leftMs(), silenceTimeoutMs), clock, signal);
    if (again !== undefined) {
      log.info({ problem: end.problem }, "a call is sent a second time");
      end = await send(again);
    }
  }
  const durationMs = Math.round(clock.monotonicMs() - startedAtMs);
  const ended = { callId: call.callId, tool: call.tool, server: found.supervisor.name, durationMs };
  log.debug({ end: end.kind, durationMs }, "a tool call ended");
  if (end.kind !== "answered") return unansweredResult(ended, end);
  try {
    return answeredResult(ended, end.answer.isError, await boundAnswer(end.answer, scope, blobs, log));
  } catch (error) {
    log.error({ error }, "a tool's answer can't be read");
    return unansweredResult(ended, { kind: "unreadable", problem: "see the log of the tool router" });
  }
}

/** The same tool on a new connection, or undefined when there is none in time. */
async function findAgain(
  { entry, supervisor, ready }: FoundTool,
  waitMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<FoundTool | undefined> {
  // The supervisor learns of the end of a connection a moment after the call does.
  await clock.sleep(0);
  const state = await supervisor.settle(waitMs, signal, true);
  if (state.kind !== "ready" || state.connection === ready.connection || signal.aborted) return undefined;
  const found = state.tools.get(entry.tool.name);
  // A definition that changed meanwhile is another tool: its arguments were not checked against it.
  if (found === undefined || found.tool.definitionHash !== entry.tool.definitionHash) return undefined;
  return { entry: found, supervisor, ready: state };
}
