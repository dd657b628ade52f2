/**
 * Asks the session service whether the run of a token is at work, with the token itself: what it opens there ends with the
 * run.
 *
 * Keeps L7: a yes is believed for a second, so that the calls of a step cost one question; of runs, a bounded number is
 * remembered. A no is asked again each time.
 */
import { type CallOptions, type Client, Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { SessionService } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import type { RunGrant } from "../../kernel/auth/principal.ts";
import type { Clock } from "../../kernel/clock.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { onward } from "../../kernel/rpc/call-context.ts";
import type { RequireRun } from "../../kernel/rpc/gate/run-guard.ts";

const believedMs = 1_000;
const maxRemembered = 10_000;
const askTimeoutMs = 10_000;

export type RunReader = Pick<Client<typeof SessionService>, "getRun">;

interface Asked {
  readonly untilMs: number;
  readonly answer: Promise<void>;
}

export function createRequireRun(session: RunReader, clock: Clock): RequireRun {
  const asked = new Map<string, Asked>();
  return (run, context) => {
    const key = JSON.stringify([run.runId, run.epoch]);
    const nowMs = clock.monotonicMs();
    const known = asked.get(key);
    if (known !== undefined && known.untilMs > nowMs) return known.answer;
    const answer = ask(session, run, context);
    if (asked.size >= maxRemembered) asked.clear();
    const entry = { untilMs: nowMs + believedMs, answer };
    asked.set(key, entry);
    answer.catch(() => {
      if (asked.get(key) === entry) asked.delete(key);
    });
    return answer;
  };
}

/**
 * One question for all that wait for its answer: none of them ends it. Errors: what the session service says, PEER_UNAVAILABLE
 * when it says nothing in time; the deadline is ours, and no caller's.
 */
async function ask(session: RunReader, { runId }: RunGrant, context: HandlerContext): Promise<void> {
  const { contextValues } = onward(context);
  const call: CallOptions = { timeoutMs: askTimeoutMs, ...(contextValues === undefined ? {} : { contextValues }) };
  try {
    await session.getRun({ runId }, call);
  } catch (error) {
    if (!(error instanceof ConnectError) || error.code !== Code.DeadlineExceeded) throw error;
    throw failure(ErrorReason.PEER_UNAVAILABLE, "the session service does not say whether the run is at work", {
      ...{ metadata: { service: "session" }, retryAfterMs: 500, cause: error },
    });
  }
}
