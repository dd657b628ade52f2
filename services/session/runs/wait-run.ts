/** Waits until a run has its terminal event, or until the timeout. Keeps L7: the waits of a principal have a bound in all. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  GetRunRequestSchema,
  type WaitRunRequest,
  type WaitRunResponse,
  WaitRunResponseSchema,
} from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { scopeOf } from "../../kernel/rpc/call-context.ts";
import { getRun } from "../reading/read-session.ts";
import { toRun } from "../reading/session-message.ts";
import type { SessionDeps } from "../session-deps.ts";

const defaultTimeoutMs = 30_000;
/** The bus is a hint (L3): without one the run is read this often. */
const recheckMs = 500;

/** Calls of one principal that wait at the same time, over all its connections: each holds some tens of kilobytes. */
const maxWaits = 1_000;

/** How many calls of a principal wait. */
const waits = new WeakMap<SessionDeps["store"], Map<string, number>>();

/** Takes a place among the principal's waits; returns what gives it back. Errors: LIMIT_EXCEEDED. */
function takePlace(deps: SessionDeps, context: HandlerContext): () => void {
  const { tenant, principal } = scopeOf(context);
  const key = JSON.stringify([tenant, principal]);
  const counts = waits.get(deps.store) ?? new Map<string, number>();
  waits.set(deps.store, counts);
  const count = counts.get(key) ?? 0;
  if (count >= maxWaits) {
    throw failure(
      ErrorReason.LIMIT_EXCEEDED,
      `${maxWaits} calls wait for runs already: subscribe to a session instead`,
      {
        metadata: { limit: String(maxWaits) },
        retryAfterMs: 1_000,
      },
    );
  }
  counts.set(key, count + 1);
  return () => {
    const left = (counts.get(key) ?? 1) - 1;
    if (left === 0) counts.delete(key);
    else counts.set(key, left);
  };
}

export async function waitRun(
  deps: SessionDeps,
  request: WaitRunRequest,
  context: HandlerContext,
): Promise<WaitRunResponse> {
  const untilMs = deps.clock.monotonicMs() + (request.timeoutMs || defaultTimeoutMs);
  const wanted = create(GetRunRequestSchema, { runId: request.runId });
  let run = await getRun(deps, wanted, context);
  if (run.state === "finished") return create(WaitRunResponseSchema, { run: toRun(run) });
  const giveBack = takePlace(deps, context);
  let wake = Promise.withResolvers<void>();
  const onAbort = (): void => wake.resolve();
  context.signal.addEventListener("abort", onAbort, { once: true });
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
    giveBack();
    context.signal.removeEventListener("abort", onAbort);
    unsubscribe();
  }
  return create(WaitRunResponseSchema, { run: toRun(run) });
}
