/**
 * Works on one offered run from its offer to its end, or until the run is lost.
 *
 * Keeps R2 as far as a worker can: a run that it can work on ends with a terminal event, also when its agent is unknown.
 * Keeps R5: it hears its signal also while it reads the log.
 * What goes wrong around the run is told to the worker, not thrown.
 */
import type { CallOptions } from "@connectrpc/connect";
import { type RunFailure, RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import type { RawRunOffer } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { callValues } from "../../kernel/rpc/call-context.ts";
import { type RunToken, runTokenKey } from "../../kernel/rpc/hops/run-token.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { EventWriter } from "../loop/event-writer.ts";
import { RunCancelled, RunLost } from "../loop/run-ending.ts";
import { runLoop } from "../loop/run-loop.ts";
import type { Steering } from "../loop/steering.ts";
import type { ConversationFold } from "../memory/conversation-fold.ts";
import type { SessionMemory } from "../memory/session-memory.ts";
import type { ToolList } from "../tools/tool-list.ts";
import type { RunOutlet } from "./run-outlet.ts";

/** What all runs of a worker share. */
export interface WorkerParts {
  readonly deps: AgentDeps;
  readonly tools: ToolList;
  readonly memory: SessionMemory;
  /** Aborted when the worker has left: its calls end, too. */
  readonly left: AbortSignal;
}

/** What one run has of its own. */
interface RunParts {
  readonly outlet: RunOutlet;
  readonly steering: Steering;
  /** Renewed with the lease. */
  readonly runToken: RunToken;
  /** Aborted with RunLost or RunCancelled. */
  readonly signal: AbortSignal;
}

export type WorkEnd =
  | { readonly kind: "ended" }
  /** Somebody else has the run now. */
  | { readonly kind: "lost" }
  /** Its terminal event could not be written; the run should be given back. */
  | { readonly kind: "failed"; readonly reason: string };

const longestReason = 1_024;

export async function workOnOffer(worker: WorkerParts, offer: RawRunOffer, parts: RunParts): Promise<WorkEnd> {
  const { run } = offer;
  const log = worker.deps.log.child({ runId: run?.runId, sessionId: run?.sessionId, traceId: run?.traceId });
  try {
    await work(worker, offer, parts);
    log.debug({}, "run ended");
    return { kind: "ended" };
  } catch (error) {
    if (error instanceof RunLost) {
      log.warn({ reason: error.message }, "run lost");
      return { kind: "lost" };
    }
    const shown = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.error({ error: shown }, "a run could not be worked on");
    return { kind: "failed", reason: String(error).slice(0, longestReason) };
  }
}

async function work({ deps, tools, memory, left }: WorkerParts, offer: RawRunOffer, parts: RunParts): Promise<void> {
  const { run, session, recent, agent: offered } = offer;
  if (run === undefined || session === undefined) throw new Error("the offer has no run or no session");
  const { runId, sessionId, attempt, traceId } = run;
  const { outlet, steering, signal, runToken } = parts;
  const call: CallOptions = {
    contextValues: callValues(undefined, traceId).set(runTokenKey, runToken),
    signal: left,
  };
  const { clock, deltaWindowMs } = deps;
  const writer = new EventWriter({ outlet, runId, attempt, clock, deltaWindowMs });
  if (offered === undefined) {
    writer.write({ case: "runFinished", value: { status: RunStatus.FAILED, failure: unknownAgent(run.agentId) } });
    return writer.durable();
  }
  let fold: ConversationFold;
  try {
    fold = await memory.read(session, recent, { ...call, signal: AbortSignal.any([left, signal]) });
  } catch (error) {
    if (!signal.aborted) throw error;
    const why: unknown = signal.reason;
    if (!(why instanceof RunCancelled)) throw why;
    const { cancelledBy } = why;
    writer.write({ case: "runFinished", value: { status: RunStatus.CANCELLED, cancelledBy } });
    return writer.durable();
  }
  const conversation = fold.workOn(runId, Number(session.contextFloorSeq));
  if (conversation === undefined) {
    throw failure(ErrorReason.INTERNAL, "the log does not show that the run was started", {
      metadata: { trace_id: run.traceId },
    });
  }
  const { options, principal, agentId } = run;
  // The router shows a run the tools of its agent alone.
  const toolsKey = `${principal}\n${agentId}`;
  const agent = { ...offered, maxDurationMs: Number(offered.maxDurationMs) };
  const own = { runId, sessionId, epoch: Number(run.epoch), traceId, options, toolsKey };
  await runLoop({ deps, tools, agent, writer, steering, signal, call, ...own }, conversation);
}

function unknownAgent(agentId: string): Pick<RunFailure, "reason" | "message" | "metadata"> {
  const message = `no such agent: ${agentId}: name one of the configuration`;
  return { reason: ErrorReason.AGENT_NOT_FOUND, message, metadata: { agent_id: agentId } };
}
