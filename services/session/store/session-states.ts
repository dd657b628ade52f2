/** The states of a session's row as the contract names them. */
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import type { SessionRow } from "./rows.ts";

export const sessionStates = {
  created: SessionState.CREATED,
  active: SessionState.ACTIVE,
  idle: SessionState.IDLE,
  closed: SessionState.CLOSED,
} as const satisfies Record<SessionRow["state"], SessionState>;
