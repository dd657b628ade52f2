import { Code, ConnectError, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../kernel/clock.ts";
import { ErrorReason, failure, failureFacts } from "../../kernel/errors.ts";
import { createRequireRun, type RunReader } from "./require-run.ts";

const run = { sessionId: "ses_1", runId: "run_1", agentId: "main", epoch: 1 };
const context = {
  values: createContextValues(),
  signal: new AbortController().signal,
  timeoutMs: () => undefined,
} as unknown as HandlerContext;

describe("asking whether a run is at work", () => {
  it.each([
    ["is a peer that is away", new ConnectError("the operation timed out", Code.DeadlineExceeded)],
    [
      "is that too when it says so itself",
      failure(ErrorReason.DEADLINE_EXCEEDED, "", { metadata: { timeout_ms: "1" } }),
    ],
  ])("a session service that does not answer in time %s, and no deadline of the caller", async (_name, thrown) => {
    const session: RunReader = { getRun: () => Promise.reject(thrown) };
    const error = await createRequireRun(session, systemClock)(run, context).then(
      () => expect.fail("it was let through"),
      ConnectError.from,
    );
    expect(failureFacts(error)).toMatchObject({
      reason: ErrorReason.PEER_UNAVAILABLE,
      metadata: { service: "session" },
    });
  });
});
