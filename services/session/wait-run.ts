/** Waits until a run has its terminal event, or until the timeout. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  GetRunRequestSchema,
  type WaitRunRequest,
  type WaitRunResponse,
  WaitRunResponseSchema,
} from "../../gen/atoll/session/v1/session_service_pb.ts";
import { getRun } from "./read-session.ts";
import type { SessionDeps } from "./session-deps.ts";
import { toRun } from "./session-message.ts";

const defaultTimeoutMs = 30_000;
/** The bus is a hint (L3): without one the run is read this often. */
const recheckMs = 500;

export async function waitRun(
  deps: SessionDeps,
  request: WaitRunRequest,
  context: HandlerContext,
): Promise<WaitRunResponse> {
  const untilMs = deps.clock.monotonicMs() + (request.timeoutMs || defaultTimeoutMs);
  const wanted = create(GetRunRequestSchema, { runId: request.runId });
  let run = await getRun(deps, wanted, context);
  let wake = Promise.withResolvers<void>();
  const unsubscribe = deps.bus.subscribe(run.tenant, run.sessionId, () => wake.resolve());
  try {
    for (;;) {
      run = await getRun(deps, wanted, context);
      const leftMs = untilMs - deps.clock.monotonicMs();
      if (run.state === "finished" || leftMs <= 0 || context.signal.aborted) break;
      const timer = deps.clock.setTimer(Math.min(leftMs, recheckMs), () => wake.resolve());
      await wake.promise;
      timer.cancel();
      wake = Promise.withResolvers();
    }
  } finally {
    unsubscribe();
  }
  return create(WaitRunResponseSchema, { run: toRun(run) });
}
