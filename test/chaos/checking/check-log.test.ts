import { describe, expect, it } from "vitest";
import { checkLog } from "./check-log.ts";
import { finished, logOf, queued, received, type Said } from "./synthetic.fixture.ts";

const begun: readonly Said[] = [received("m0"), queued(["m0"]), { body: "runStarted" }];
const step = (body: string, at: number, more: Partial<Said> = {}): Said => ({ body, step: at, ...more });
const proposed = step("toolCallProposed", 1, { call: "c1" });
const started = step("toolCallStarted", 1, { call: "c1" });
const outcome = step("toolCallFinished", 1, { call: "c1", succeeded: true });
const takeover: Said = { body: "runResumed", attempt: 2 };

function problemsOf(...said: readonly Said[]): string[] {
  const problems: string[] = [];
  checkLog(logOf(...said), (problem) => problems.push(problem));
  return problems;
}

describe("runs", () => {
  it("finds nothing in a run that was queued, started and ended once", () => {
    expect(problemsOf(...begun, step("stepStarted", 1), step("usage", 1), finished())).toEqual([]);
  });

  it("finds a run that was never queued", () => {
    expect(problemsOf({ body: "runStarted" }, finished())).toEqual(["R1 run run_a: never queued"]);
  });
});

describe("the end of a run", () => {
  it("may not be a failure, which no fault of the plan explains", () => {
    const failed = { ...finished(), completed: false, failed: "MODEL_UNAVAILABLE: no answer" };
    expect(problemsOf(...begun, failed)).toEqual(["R4 run run_a seq 4: the run failed: MODEL_UNAVAILABLE: no answer"]);
  });
});

describe("tool calls", () => {
  it("finds a call of a completed run that has no outcome", () => {
    const problem = ["T1 run run_a seq 8: complete, yet call c1 of step 1 has no outcome"];
    expect(problemsOf(...begun, step("stepStarted", 1), proposed, step("usage", 1), started, finished())).toEqual(
      problem,
    );
    expect(problemsOf(...begun, step("stepStarted", 1), step("usage", 1), started, step("x", 1), finished())).toEqual(
      problem,
    );
  });

  it("lets a call be open in a run that was cancelled, and in a step that was discarded", () => {
    const cancelled = { ...finished(), completed: false };
    expect(problemsOf(...begun, step("stepStarted", 1), proposed, step("usage", 1), started, cancelled)).toEqual([]);
    const again = [step("stepStarted", 1), step("usage", 1), finished()];
    expect(
      problemsOf(...begun, step("stepStarted", 1), proposed, step("stepDiscarded", 1, { discarded: 1 }), ...again),
    ).toEqual([]);
  });

  it("takes the outcome that the next worker wrote for the call", () => {
    expect(
      problemsOf(...begun, step("stepStarted", 1), proposed, step("usage", 1), started, takeover, outcome, finished()),
    ).toEqual([]);
  });
});

describe("steps and take-overs", () => {
  const discarded = step("stepDiscarded", 1, { discarded: 1 });
  const again = [step("stepStarted", 1), step("usage", 1), finished()];

  it("finds a finished step that was discarded and made again", () => {
    const problem = ["R4 run run_a seq 7: step 1 was finished, yet it is discarded"];
    expect(problemsOf(...begun, step("stepStarted", 1), step("usage", 1), takeover, discarded, ...again)).toEqual(
      problem,
    );
    const withCall = [step("stepStarted", 1), proposed, step("usage", 1), outcome];
    expect(problemsOf(...begun, ...withCall, takeover, discarded, ...again)).toEqual([
      "R4 run run_a seq 9: step 1 was finished, yet it is discarded",
    ]);
  });

  it("lets a step be discarded that was cut short", () => {
    expect(problemsOf(...begun, step("stepStarted", 1), takeover, discarded, ...again)).toEqual([]);
    const openCall = [step("stepStarted", 1), proposed, step("usage", 1)];
    expect(problemsOf(...begun, ...openCall, takeover, discarded, ...again)).toEqual([]);
  });
});
