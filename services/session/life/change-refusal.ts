/** How a change of a session is refused. */
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { sessionNotFound } from "../reading/read-session.ts";
import type { ChangeRefusal } from "../store/changes.ts";

/** SESSION_NOT_FOUND, SESSION_CLOSED or HEAD_MOVED. */
export function changeRefusal(refused: ChangeRefusal, sessionId: string): Error {
  switch (refused.kind) {
    case "session-not-found":
      return sessionNotFound({ sessionId });
    case "session-closed":
      return failure(ErrorReason.SESSION_CLOSED, `session ${sessionId} is closed: fork it or start another`, {
        metadata: { session_id: sessionId },
      });
    case "head-moved":
      return failure(ErrorReason.HEAD_MOVED, `the head is ${refused.headSeq}: read what is new, then decide again`, {
        metadata: { head_seq: String(refused.headSeq) },
      });
  }
}
