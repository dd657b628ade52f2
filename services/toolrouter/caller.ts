/**
 * Who calls a tool, and for whom: of a run's token the run, its session, agent and epoch, whatever the call says.
 *
 * Keeps T3: a token that names an agent never reaches more than this agent may. Ids of others are not found.
 */
import { create } from "@bufbuild/protobuf";
import { type CallContext, CallContextSchema } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { RunGrant } from "../kernel/auth/principal.ts";
import { ErrorReason, failure } from "../kernel/errors.ts";
import type { Scope } from "../kernel/store/scope.ts";

export interface Caller {
  readonly scope: Scope;
  /** Undefined for whoever does not come with a run's token. */
  readonly run: RunGrant | undefined;
  /** Whether the caller may use every tool without an agent in whose name. */
  readonly isToolsAdmin: boolean;
}

/** The tool patterns of each agent. */
type AgentTools = ReadonlyMap<string, readonly string[]>;

/**
 * The context of a call as it is true.
 *
 * Errors: SESSION_NOT_FOUND, RUN_NOT_FOUND, AGENT_NOT_FOUND and EPOCH_FENCED for what is not the token's own; AGENT_NOT_FOUND
 * for an agent that is not configured here; SCOPE_MISSING for a call outside of an agent by whoever is no administrator of tools;
 * FIELD_INVALID for an epoch without a run's token. `path` is the context's own.
 */
export function bindContext(
  { run, isToolsAdmin }: Pick<Caller, "run" | "isToolsAdmin">,
  given: CallContext | undefined,
  agents: AgentTools,
  path: string,
): CallContext {
  const context = given ?? create(CallContextSchema);
  const agentId = bindAgent({ run }, context.agentId, agents);
  if (run === undefined) {
    if (agentId === "" && !isToolsAdmin) {
      const message = `${path}.agent_id: name the agent whose tools are used; without one a token needs the scope TOOLS_ADMIN`;
      throw failure(ErrorReason.SCOPE_MISSING, message, { metadata: { scope: "TOOLS_ADMIN" } });
    }
    if (context.epoch === 0n) return { ...context, agentId };
    const problem = "comes with a run's token alone: leave it at 0";
    throw failure(ErrorReason.FIELD_INVALID, `${path}.epoch: ${problem}`, {
      fields: [{ path: `${path}.epoch`, problem }],
    });
  }
  if (context.sessionId !== "" && context.sessionId !== run.sessionId) {
    throw failure(ErrorReason.SESSION_NOT_FOUND, `no such session: ${context.sessionId}`, {
      metadata: { session_id: context.sessionId },
    });
  }
  if (context.runId !== "" && context.runId !== run.runId) {
    throw failure(ErrorReason.RUN_NOT_FOUND, `no such run: ${context.runId}`, { metadata: { run_id: context.runId } });
  }
  if (context.epoch !== 0n && context.epoch !== BigInt(run.epoch)) {
    throw failure(ErrorReason.EPOCH_FENCED, `the token is of epoch ${run.epoch}, not ${context.epoch}`, {
      metadata: { run_id: run.runId, epoch: String(run.epoch) },
    });
  }
  return { ...context, sessionId: run.sessionId, runId: run.runId, epoch: BigInt(run.epoch), agentId };
}

/** The agent whose tools a caller sees; empty for a caller without a run that names none: it sees all. Errors: AGENT_NOT_FOUND. */
export function bindAgent({ run }: Pick<Caller, "run">, given: string, agents: AgentTools): string {
  const agentId = given || (run?.agentId ?? "");
  const isOwn = run === undefined || agentId === run.agentId;
  if (isOwn && (agentId === "" || agents.has(agentId))) return agentId;
  throw failure(ErrorReason.AGENT_NOT_FOUND, `no such agent: ${agentId}`, { metadata: { agent_id: agentId } });
}
