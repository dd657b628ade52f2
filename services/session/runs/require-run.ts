/**
 * Whether a run's token still opens anything: while its run is at work under its epoch (L4). The store knows; no clock and no
 * instance's memory is asked.
 */
import { RunStatusSchema } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { scopeOf } from "../../kernel/rpc/call-context.ts";
import type { RequireRun } from "../../kernel/rpc/gate/run-guard.ts";
import { runNotFound } from "../reading/read-session.ts";
import type { SessionDeps } from "../session-deps.ts";

export function createRequireRun({ store }: Pick<SessionDeps, "store">): RequireRun {
  return async ({ sessionId, runId, epoch }, context) => {
    const run = await store.getRun(scopeOf(context), runId);
    if (run === undefined || run.sessionId !== sessionId) throw runNotFound(runId);
    if (run.state === "finished") {
      const status =
        RunStatusSchema.values.find(({ number }) => number === run.status)?.name.replace("RUN_STATUS_", "") ??
        String(run.status);
      throw failure(ErrorReason.RUN_FINISHED, `run ${runId} has ended, and its token with it`, {
        metadata: { run_id: runId, status },
      });
    }
    if (run.state === "running" && run.epoch === epoch) return;
    throw failure(ErrorReason.EPOCH_FENCED, `epoch ${run.epoch} has run ${runId}; the token is of epoch ${epoch}`, {
      metadata: { run_id: runId, epoch: String(run.epoch) },
    });
  };
}
