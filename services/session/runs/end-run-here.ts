/**
 * Ends a run over its worker's head: a cancelled one whose worker does not stop, or one that no worker brings to an end.
 *
 * Keeps R2 and R5: the store takes the next epoch and writes the terminal event, so that no worker is needed for a run to
 * end, and a late one is refused.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { RunFailureSchema, RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { RunLease } from "../workers/run-lease.ts";
import { followUpOf } from "./follow-up.ts";

export async function endRunHere(deps: SessionDeps, lease: RunLease): Promise<void> {
  const { cancel, attempt } = lease;
  const failure = create(RunFailureSchema, {
    reason: ErrorReason.INTERNAL,
    message: `the run was taken up ${attempt} times and no worker brought it to an end: send the message again`,
    retryable: true,
  });
  const status = cancel === undefined ? RunStatus.FAILED : RunStatus.CANCELLED;
  const finished = await deps.store.finishRun(lease, {
    status,
    failure: cancel === undefined ? toBinary(RunFailureSchema, failure) : new Uint8Array(),
    followUp: followUpOf(deps.clock),
    event: (run) =>
      encodeEvent({
        runId: run.runId,
        attempt: run.attempt,
        body: {
          case: "runFinished",
          value: cancel === undefined ? { status, failure } : { status, cancelledBy: cancel.by },
        },
      }),
  });
  if (finished !== undefined) deps.bus.publish(finished.appended);
}
