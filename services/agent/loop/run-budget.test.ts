import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import type { RunOptions } from "../../../gen/atoll/session/v1/run_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import type { EventBody } from "../../kernel/event/encode-event.ts";
import { ask, hang, type LoopOptions, runTheLoop, say, stop, text } from "../agent.fixture.ts";

describe(`a budget ${verifies("L7")}`, () => {
  const again = Array.from({ length: 20 }, () => ask("files.read"));

  it("of steps ends the run; a run may ask for less, not for more", async () => {
    expect((await runTheLoop({ scripts: again, agent: { maxSteps: 3 } })).finished).toMatchObject({
      status: RunStatus.BUDGET_EXCEEDED,
      steps: 3,
    });
    expect((await runTheLoop({ scripts: again, options: { maxSteps: 2 } })).requests).toHaveLength(2);
    const greedy = await runTheLoop({ scripts: again, agent: { maxSteps: 3 }, options: { maxSteps: 1_000 } });
    expect(greedy.requests).toHaveLength(3);
    expect(greedy.finished?.failure).toMatchObject({
      reason: ErrorReason.LIMIT_EXCEEDED,
      message: expect.stringContaining("steps (3)"),
    });
  });

  it("of output tokens ends the run", async () => {
    const { finished, requests } = await runTheLoop({ scripts: again, options: { maxOutputTokens: 7n } });
    expect(requests).toHaveLength(3);
    expect(finished).toMatchObject({
      status: RunStatus.BUDGET_EXCEEDED,
      failure: { message: expect.stringContaining("output tokens (7)") },
    });
  });

  it("of output tokens bounds each model call by what is left, the reasoning included", async () => {
    const asked = async (options: Partial<RunOptions>) => {
      const { requests } = await runTheLoop({ scripts: again, options, agent: { thinkingTokens: 500 } });
      return requests.map(({ maxOutputTokens, thinkingTokens }) => [maxOutputTokens, thinkingTokens]);
    };
    expect(await asked({ maxOutputTokens: 7n })).toEqual([
      [7, 0],
      [4, 0],
      [1, 0],
    ]);
    expect((await asked({ maxOutputTokens: 1_200n, maxSteps: 1 }))[0]).toEqual([1_000, 200]);
    expect((await asked({ maxOutputTokens: 9_999n, maxSteps: 1 }))[0]).toEqual([1_000, 500]);
    const cut = () => [...text("cut sh"), ...stop("max_tokens", 7)];
    const { finished } = await runTheLoop({ scripts: [cut], options: { maxOutputTokens: 7n } });
    expect(finished).toMatchObject({
      status: RunStatus.BUDGET_EXCEEDED,
      failure: { message: expect.stringContaining("output tokens (7)") },
    });
  });

  it("of one answer's tokens ends the run, and what was said stays", async () => {
    const { finished, of } = await runTheLoop({ scripts: [() => [...text("cut sh"), ...stop("max_tokens")]] });
    expect(finished).toMatchObject({ status: RunStatus.BUDGET_EXCEEDED });
    expect(of("textDelta")).toHaveLength(1);
    expect(of("stepDiscarded")).toEqual([]);
  });

  it("of time ends the run in the middle of a model call", async () => {
    const { finished } = await runTheLoop({ scripts: [hang], options: { maxDurationMs: 50n } });
    expect(finished).toMatchObject({
      status: RunStatus.BUDGET_EXCEEDED,
      failure: { message: expect.stringContaining("time") },
    });
  });

  it("of time counts what earlier workers used, and not the time between them", async () => {
    const at = (afterMs: number, body: EventBody) => ({ step: 1, attempt: 1, afterMs, body });
    const resumed = (afterMs: number) => ({ ...at(afterMs, { case: "runResumed", value: {} }), attempt: 2 });
    const worked = (ms: number) => at(ms, { case: "phaseChanged", value: {} });
    const takenUp = (scripts: LoopOptions["scripts"], ...log: NonNullable<LoopOptions["log"]>) =>
      runTheLoop({ scripts, attempt: 2, log });
    const spent = await takenUp([say("too late")], worked(60_000), resumed(60_500));
    expect(spent.requests).toEqual([]);
    expect(spent.finished).toMatchObject({ status: RunStatus.BUDGET_EXCEEDED, duration: { seconds: 60n } });
    const nearly = await takenUp([hang], worked(30_000), worked(59_950), resumed(60_500));
    expect(nearly.requests).toHaveLength(1);
    expect(nearly.finished).toMatchObject({ status: RunStatus.BUDGET_EXCEEDED });
    // A timer may go off a fraction of a millisecond before its time.
    const { seconds = 0n, nanos = 0 } = nearly.finished?.duration ?? {};
    expect(Math.round(Number(seconds) + nanos / 1e9)).toBe(60);
    const inTime = await takenUp([say("in time")], worked(30_000), resumed(8 * 3_600_000));
    expect(inTime.finished).toMatchObject({ status: RunStatus.COMPLETED, duration: { seconds: 30n } });
  });

  it("of time is not used up by a wall clock that is set, forward or back", async () => {
    const hourMs = 3_600_000;
    const at = (afterMs: number) =>
      ({ step: 1, attempt: 1, afterMs, body: { case: "phaseChanged", value: {} } }) as const;
    const resumed = { ...at(0), attempt: 2, body: { case: "runResumed", value: {} } } as const;
    const log = [at(10_000), at(2 * hourMs), at(2 * hourMs + 5_000), at(-2 * hourMs), at(-2 * hourMs + 5_000), resumed];
    const { finished } = await runTheLoop({
      ...{ scripts: [say("in time")], attempt: 2, log },
      agent: { maxDurationMs: hourMs },
    });
    // 10 s, at most 5 minutes for the jump, 5 s, nothing for the way back, 5 s.
    expect(finished).toMatchObject({ status: RunStatus.COMPLETED, duration: { seconds: 320n } });
  });
});
