/** The queue modes of the configuration as the contract has them. */
import { QueueMode } from "../../gen/atoll/event/v1/run_events_pb.ts";
import type { ResolvedAgent } from "../kernel/config/resolved-config.ts";

export const queueModes = {
  followup: QueueMode.FOLLOWUP,
  steer: QueueMode.STEER,
  collect: QueueMode.COLLECT,
  interrupt: QueueMode.INTERRUPT,
  reject: QueueMode.REJECT,
} as const satisfies Record<ResolvedAgent["queueMode"], QueueMode>;
