/** A wish that a run stop, as the store and the holders of runs are told it (R5). */
import { create, toBinary } from "@bufbuild/protobuf";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { CancelCommandSchema } from "../../../gen/atoll/session/v1/attach_pb.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import type { CancelWish } from "../store/changes.ts";

export function wishToCancel(cancelledBy: string, reason: string): CancelWish {
  return {
    cancelledBy,
    reason,
    command: toBinary(CancelCommandSchema, create(CancelCommandSchema, { cancelledBy, reason })),
    event: (run) =>
      encodeEvent({
        runId: run.runId,
        body: { case: "runFinished", value: { status: RunStatus.CANCELLED, cancelledBy } },
      }),
  };
}
