/** RunStarted, or RunResumed of a run that was taken up before, encoded without server fields. */
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import type { RunRow } from "../store/rows.ts";

export function takeUpEvent(run: RunRow, workerId: string, reason: string): Uint8Array {
  const { runId, attempt, agentId } = run;
  const epoch = BigInt(run.epoch);
  return encodeEvent({
    runId,
    attempt,
    body:
      attempt === 1
        ? { case: "runStarted", value: { workerId, epoch, agentId } }
        : { case: "runResumed", value: { workerId, epoch, attempt, reason } },
  });
}
