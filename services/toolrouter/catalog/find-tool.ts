/** Finds the tool that a call names, and waits for its server while that is starting. */
import type { Clock } from "../../kernel/clock.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { adviceFor, visibleProblem } from "../problem-text.ts";
import type { ReadyState, ServerState, ServerSupervisor } from "../servers/server-supervisor.ts";
import type { ToolServers } from "../servers/tool-servers.ts";
import { type CatalogTool, serverOf } from "./tool-catalog.ts";

/** A tool that can be called now. */
export interface FoundTool {
  readonly entry: CatalogTool;
  readonly supervisor: ServerSupervisor;
  readonly ready: ReadyState;
}

/**
 * Waits at most the server's start timeout, less when the signal aborts; a server that is backing off is not waited for.
 * Errors: TOOL_NOT_FOUND, TOOL_UNUSABLE, SERVER_UNAVAILABLE.
 */
export async function findTool(
  servers: ToolServers,
  tool: string,
  clock: Clock,
  signal?: AbortSignal,
): Promise<FoundTool> {
  const supervisor = servers.find(serverOf(tool) ?? "");
  if (supervisor === undefined) throw missing(tool);
  const state = await supervisor.settle(supervisor.settings.startTimeoutMs, signal);
  if (state.kind !== "ready") throw unavailable(supervisor, state, clock.nowMs());
  const entry = state.tools.get(tool);
  if (entry === undefined) throw missing(tool, state.unusable.get(tool)?.problem);
  return { entry, supervisor, ready: state };
}

/** SERVER_UNAVAILABLE, with the problem and what to do. */
function unavailable(supervisor: ServerSupervisor, state: Exclude<ServerState, ReadyState>, nowMs: number): Error {
  const { name, settings } = supervisor;
  const problem = problemOf(supervisor, state);
  const retry = state.kind === "backing-off" ? { retryAfterMs: Math.max(0, state.nextTryAtMs - nowMs) } : {};
  const message = `the MCP server "${name}" is not running: ${problem}; ${adviceFor(name, settings)}`;
  return failure(ErrorReason.SERVER_UNAVAILABLE, message, { metadata: { server: name, problem }, ...retry });
}

function problemOf({ settings }: ServerSupervisor, state: Exclude<ServerState, ReadyState>): string {
  switch (state.kind) {
    case "backing-off":
      return state.problem;
    case "starting":
      return state.problem === "" ? "it is still starting" : `it is starting again after: ${state.problem}`;
    case "stopped":
      return settings.disabled ? "it is switched off (`disabled`)" : "it is stopped";
  }
}

/** `problem` is given for a tool that is listed and can't be used. */
function missing(tool: string, problem?: string): Error {
  const name = visibleProblem(tool);
  if (problem !== undefined) {
    const message = `the tool "${name}" can't be used: ${problem}; its server has to be mended`;
    return failure(ErrorReason.TOOL_UNUSABLE, message, { metadata: { tool: name, problem } });
  }
  return failure(ErrorReason.TOOL_NOT_FOUND, `there is no tool "${name}"; ListTools names the tools that there are`, {
    metadata: { tool: name },
  });
}
