import { describe, expect, test } from "vitest";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason } from "../errors.ts";
import { type CallFate, knownOfCall } from "./known-of-call.ts";

const [server, tool, problem] = ["files", "files.read", "it went wrong"];
const { SUCCEEDED, FAILED, REFUSED, CANCELLED, TIMED_OUT, UNKNOWN } = ToolOutcome;

describe(`what is known of a call ${verifies("F3")}`, () => {
  test.each<[CallFate, ToolOutcome, RegExp]>([
    [{ kind: "refused", reason: ErrorReason.TOOL_DENIED, problem }, REFUSED, /^it went wrong$/],
    [{ kind: "never-sent", server, problem }, REFUSED, /had no effect/],
    [{ kind: "refused-by-server", server, problem }, REFUSED, /had no effect/],
    [{ kind: "cancelled-before" }, CANCELLED, /never reached the tool; it had no effect/],
    [{ kind: "run-ended-before" }, CANCELLED, /should never have reached the tool/],
    [{ kind: "answered", isError: false }, SUCCEEDED, /^$/],
    [{ kind: "answered", isError: true }, FAILED, /^$/],
    [{ kind: "rejected", server, problem }, FAILED, /answered with an error: it went wrong/],
    [{ kind: "unreadable", server, problem }, FAILED, /can't be read: it went wrong/],
    [{ kind: "timed-out", tool, problem: "did not answer" }, TIMED_OUT, /^files\.read did not answer .*may or may not/],
    [{ kind: "cancelled", tool }, CANCELLED, /was told to stop.*may or may not/],
    [{ kind: "lost", server, problem }, UNKNOWN, /may or may not/],
    [{ kind: "in-doubt", problem }, UNKNOWN, /may or may not/],
  ])("%j", (fate, outcome, words) => {
    const known = knownOfCall(fate);
    expect(known.outcome).toBe(outcome);
    expect(known.message).toMatch(words);
    // Unknown is said with its reason, and only of what nobody can know.
    expect(known.reason === ErrorReason.TOOL_OUTCOME_UNKNOWN).toBe(outcome === UNKNOWN);
  });
});
