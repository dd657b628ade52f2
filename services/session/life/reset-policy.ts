/**
 * When a session starts over with an empty context. Asked when a message arrives and at no other time, so that nothing
 * happens at night for nobody. Pure.
 */
import { durationMs } from "@bufbuild/protobuf/wkt";
import { ResetMode, type ResetPolicy } from "../../../gen/atoll/session/v1/session_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import type { SessionRow } from "../store/rows.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const shortestIdleMs = 60_000;
const longestIdleMs = 366 * dayMs;

/**
 * Whether a message of `nowMs` begins anew.
 *
 * @param before The message before, at 0 when there is none, and then nothing can begin anew; and when it began anew lately.
 * @param zoneOffsetMs By how much the mesh's wall clock is ahead of UTC at a time.
 */
export function isResetDue(
  policy: Pick<ResetPolicy, "mode" | "hour" | "idle"> | undefined,
  { lastMessageAtMs, resetsAtMs }: Pick<SessionRow, "lastMessageAtMs" | "resetsAtMs">,
  nowMs: number,
  zoneOffsetMs: (atMs: number) => number,
): boolean {
  if (policy === undefined || lastMessageAtMs === 0) return false;
  switch (policy.mode) {
    case ResetMode.DAILY: {
      // Days that begin at the policy's hour.
      const dayOf = (atMs: number): number => Math.floor((atMs + zoneOffsetMs(atMs) - policy.hour * hourMs) / dayMs);
      const today = dayOf(nowMs);
      // A clock that went back comes to the hour of the same day again.
      return today > dayOf(lastMessageAtMs) && !resetsAtMs.some((atMs) => dayOf(atMs) === today);
    }
    case ResetMode.IDLE:
      return policy.idle !== undefined && nowMs - lastMessageAtMs >= durationMs(policy.idle);
    default:
      return false;
  }
}

/** Errors: FIELD_INVALID for a policy that says when, but not how long. `path` is the policy's own. */
export function checkResetPolicy(policy: ResetPolicy | undefined, path: string): void {
  if (policy?.mode !== ResetMode.IDLE) return;
  const idleMs = policy.idle === undefined ? 0 : durationMs(policy.idle);
  if (idleMs >= shortestIdleMs && idleMs <= longestIdleMs) return;
  const problem = "must be from 60 s to 366 days when the mode is IDLE";
  throw failure(ErrorReason.FIELD_INVALID, `${path}.idle ${problem}`, { fields: [{ path: `${path}.idle`, problem }] });
}
