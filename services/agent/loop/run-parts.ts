/** What the loop of one run works with. */
import type { CallOptions } from "@connectrpc/connect";
import type { RunOptions } from "../../../gen/atoll/session/v1/run_pb.ts";
import type { AgentDeps, RunnableAgent } from "../agent-deps.ts";
import type { ToolList } from "../tools/tool-list.ts";
import type { EventWriter } from "./event-writer.ts";
import type { Steering } from "./steering.ts";

export interface RunParts {
  readonly deps: AgentDeps;
  readonly tools: ToolList;
  readonly agent: RunnableAgent;
  readonly options: RunOptions | undefined;
  readonly runId: string;
  readonly sessionId: string;
  readonly epoch: number;
  readonly traceId: string;
  readonly writer: EventWriter;
  /** What steers the run while it goes on. */
  readonly steering: Steering;
  /** Aborts with RunCancelled, RunLost or RunRefused. */
  readonly signal: AbortSignal;
  /** Credentials of the run for calls to peers. */
  readonly call: CallOptions;
  /** Whose tools are listed, for the cache. */
  readonly toolsKey: string;
}

/** Of a run that has its clock running. */
export interface TimedParts extends RunParts {
  /** What is left of the run's time, in milliseconds. */
  readonly leftMs: () => number;
}
