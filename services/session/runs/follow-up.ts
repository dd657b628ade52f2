/** The run that answers what an ended run was steered with and never read. */
import type { Clock } from "../../kernel/clock.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { newId } from "../../kernel/id.ts";
import type { FollowUp } from "../store/changes.ts";

export function followUpOf(clock: Clock): FollowUp {
  return {
    runId: newId("run", clock),
    event: ({ runId, messageIds, agentId }, position) =>
      encodeEvent({ runId, body: { case: "runQueued", value: { messageIds: [...messageIds], agentId, position } } }),
  };
}
