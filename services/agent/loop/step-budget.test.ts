import { describe, expect, it } from "vitest";
import { DiscardReason } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { apiError, type FakeReply, text } from "../../../test/support/fake-anthropic/script.ts";
import { as, person, sendWords } from "../../../test/support/session-service.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { bodiesOf, startRealModel } from "../real-model.fixture.ts";

const soon = { headers: { "retry-after-ms": "5" } };
const cutAfter = (afterDeltas: number): FakeReply => ({
  kind: "answer",
  blocks: [{ type: "text", text: "one two three" }],
  break: { kind: "cut", afterDeltas },
});

describe(`the retries of a step ${verifies("FW5", "F1")}`, () => {
  it.each<[string, FakeReply]>([
    ["529", apiError(529, soon)],
    ["a connection that breaks before the answer", { kind: "hangup" }],
    ["a connection that breaks in the answer", cutAfter(2)],
    ["an answer that can't be read", { kind: "raw", pieces: ["data: {\n\n"] }],
    ["HTML with 200", { kind: "raw", headers: { "content-type": "text/html" }, pieces: ["<p>"] }],
    [
      "a piece of a block that never began",
      {
        kind: "raw",
        pieces: ['data: {"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":"a"}}\n\n'],
      },
    ],
  ])("are one budget: %s is asked for 1 + 2 times, not nine", async (_what, reply) => {
    const real = await startRealModel();
    real.fake.setScript([reply]);
    const { run, events } = await real.ask("hi");
    expect(run).toMatchObject({
      status: RunStatus.FAILED,
      attempt: 1,
      failure: { reason: ErrorReason.MODEL_UNAVAILABLE, retryable: true },
    });
    expect(real.statuses()).toHaveLength(3);
    expect(bodiesOf(events, "modelWaiting").map(({ retry, of }) => [retry, of])).toEqual([
      [1, 2],
      [2, 2],
    ]);
    expect(bodiesOf(events, "stepDiscarded").map(({ reason }) => reason)).toEqual([
      DiscardReason.MODEL_RETRY,
      DiscardReason.MODEL_RETRY,
    ]);
  });

  it("count before and after the first part together, and what is shown in the end is whole", async () => {
    const real = await startRealModel();
    real.fake.setScript([apiError(529, soon), cutAfter(1), text("whole again")]);
    const { run, events } = await real.ask("hi");
    expect(run.status).toBe(RunStatus.COMPLETED);
    const discarded = events.findLastIndex(({ body }) => body.case === "stepDiscarded");
    expect(
      bodiesOf(events.slice(discarded), "textDelta")
        .map((delta) => delta.text)
        .join(""),
    ).toBe("whole again");
  });

  it("are none when the server says so", async () => {
    const real = await startRealModel();
    real.fake.setScript([apiError(500, { headers: { "x-should-retry": "false" } }), text("no")]);
    const { run } = await real.ask("hi");
    expect(run).toMatchObject({ status: RunStatus.FAILED, failure: { retryable: false } });
    expect(real.statuses()).toEqual([500]);
  });
});

describe(`a wait that the API asks for ${verifies("FW3", "FW5", "R5")}`, () => {
  it("is waited, and told with its reason and its end", async () => {
    const real = await startRealModel();
    real.fake.setScript([apiError(429, { headers: { "retry-after": "1" }, message: "slow down" }), text("now")]);
    const begunAt = performance.now();
    const { run, events } = await real.ask("hi");
    expect(run.status).toBe(RunStatus.COMPLETED);
    expect(performance.now() - begunAt).toBeGreaterThanOrEqual(990);
    const [waiting] = bodiesOf(events, "modelWaiting");
    expect(waiting).toMatchObject({ waitMs: 1_000n, retry: 1, of: 2, reason: expect.stringContaining("slow down") });
    expect(Number(waiting?.until?.seconds)).toBeGreaterThan(Date.now() / 1_000 - 60);
  });

  it("of ten minutes can be cancelled at once, and keeps its lease until then", async () => {
    const real = await startRealModel({ agent: { maxDurationMs: 3_600_000 } });
    real.fake.setScript([apiError(429, { headers: { "retry-after": "600" } })]);
    const { runId, sessionId } = await sendWords(real.session, "hi");
    await expect.poll(async () => bodiesOf(await real.eventsOf(sessionId), "modelWaiting").length).toBe(1);
    const begunAt = performance.now();
    await real.session.client.cancelRun({ requestId: "cancel-1", runId }, as(person));
    const { run } = await real.session.client.waitRun({ runId, timeoutMs: 20_000 }, as(person));
    expect(run).toMatchObject({ status: RunStatus.CANCELLED, attempt: 1 });
    expect(performance.now() - begunAt).toBeLessThan(5_000);
    expect(real.statuses()).toEqual([429]);
  });

  it.each([["45"], ["600"], ["1e300"], [new Date(Date.now() + 3_600_000).toUTCString()]])(
    "of %s that goes beyond the run's time ends the run at once, and says when to try again",
    async (wait) => {
      const real = await startRealModel({ agent: { maxDurationMs: 20_000 } });
      real.fake.setScript([apiError(429, { headers: { "retry-after": wait } })]);
      const begunAt = performance.now();
      const { run, events } = await real.ask("hi");
      expect(performance.now() - begunAt).toBeLessThan(15_000);
      expect(run).toMatchObject({
        status: RunStatus.FAILED,
        failure: { reason: ErrorReason.MODEL_UNAVAILABLE, retryable: true },
      });
      expect(run.failure?.message).toMatch(/tried again in \d+ s; the run has \d+ s left/);
      expect(bodiesOf(events, "modelWaiting")).toHaveLength(0);
      expect(real.statuses()).toEqual([429]);
    },
  );
});

describe(`a turn of the model without an answer ${verifies("FW4", "S8")}`, () => {
  const silent: FakeReply = { kind: "answer", blocks: [] };

  it.each<[string, FakeReply]>([
    ["nothing", silent],
    ["a blank text", { kind: "answer", blocks: [{ type: "text", text: " \n" }] }],
    ["an empty text", { kind: "answer", blocks: [{ type: "text", text: "" }] }],
    ["reasoning alone", { kind: "answer", blocks: [{ type: "thinking", thinking: "hm" }] }],
    ["a call that is none", { kind: "answer", blocks: [], stopReason: "tool_use" }],
  ])("(%s) is asked for once more, visibly", async (_what, reply) => {
    const real = await startRealModel();
    real.fake.setScript([reply, text("here I am")]);
    const { run, events } = await real.ask("hi");
    expect(run.status).toBe(RunStatus.COMPLETED);
    expect(bodiesOf(events, "stepDiscarded").map(({ reason }) => reason)).toEqual([DiscardReason.NO_ANSWER]);
    expect(JSON.stringify(real.fake.requests()[1]?.body.messages)).toContain("without an answer");
    expect(real.statuses()).toEqual([200, 200]);
  });

  it("twice ends the run as failed, by name", async () => {
    const real = await startRealModel();
    real.fake.setScript([silent]);
    const { run } = await real.ask("hi");
    expect(run).toMatchObject({
      status: RunStatus.FAILED,
      failure: { reason: ErrorReason.MODEL_GAVE_NO_ANSWER, retryable: true },
    });
    expect(run.failure?.message).toContain("gave no answer");
    expect(real.statuses()).toEqual([200, 200]);
  });

  it("behind tools is asked for as well, and what the tools did is not done again", async () => {
    const real = await startRealModel();
    const tool = { type: "tool_use", name: "files__read", input: {} } as const;
    real.fake.setScript([{ kind: "answer", blocks: [tool] }, silent, text("done")]);
    const { run, events } = await real.ask("hi");
    expect(run).toMatchObject({ status: RunStatus.COMPLETED });
    expect(bodiesOf(events, "toolCallStarted")).toHaveLength(1);
  });
});
