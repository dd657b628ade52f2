import { describe, expect, it } from "vitest";
import { DiscardReason } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import { QueueMode, RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { type EventBody, encodeEvent } from "../../kernel/event/encode-event.ts";
import { ask, type LoopOptions, type ModelScript, runTheLoop, say, stop, text } from "../agent.fixture.ts";
import type { SteerMessage } from "../memory/conversation.ts";
import { ConversationFold } from "../memory/conversation-fold.ts";
import type { ModelMessage } from "../models/model.ts";
import { toModelMessages } from "../showing/model-messages.ts";
import { Steering } from "./steering.ts";

const content = (words: string) => [{ block: { case: "text" as const, value: { text: words } } }];
const message = (words: string): SteerMessage =>
  ({ messageId: `msg_${words}`, content: content(words) }) as unknown as SteerMessage;

/** Speaks; meanwhile something happens. */
const sayWhile =
  (words: string, meanwhile: () => void): ModelScript =>
  () => {
    meanwhile();
    return [...text(words), ...stop()];
  };

/** What the model was shown in a call, as role and words. */
const shownIn = (request: { readonly messages: readonly ModelMessage[] } | undefined) =>
  request?.messages.map(({ role, content: blocks }) => [
    role,
    ...blocks.map((block) => ("text" in block ? block.text : block.type)),
  ]);

describe("a message that steers a run", () => {
  const hearing = (loop: Omit<LoopOptions, "steering">, steering: Steering) => runTheLoop({ ...loop, steering });

  it(`while the model says its last word is read by one more model call ${verifies("R3")}`, async () => {
    const steering = new Steering();
    const first = sayWhile("in English", () => steering.hear(1, message("rather French")));
    const { requests, of, finished } = await hearing({ scripts: [first, say("en français")] }, steering);
    expect(shownIn(requests[1])).toEqual([
      ["user", "please"],
      ["assistant", "in English"],
      ["user", "rather French"],
    ]);
    expect(of("stepStarted").map(({ messageIds }) => messageIds)).toEqual([[], ["msg_rather French"]]);
    expect(finished).toMatchObject({ status: RunStatus.COMPLETED, steps: 2 });
  });

  it("while tools work is read behind their results", async () => {
    const steering = new Steering();
    const asking: ModelScript = (request) => {
      steering.hear(1, message("faster"));
      return ask("files.read")(request);
    };
    const { requests } = await hearing({ scripts: [asking, say("done")] }, steering);
    expect(shownIn(requests[1])).toEqual([
      ["user", "please"],
      ["assistant", "tool_use"],
      ["user", "tool_result"],
      ["user", "faster"],
    ]);
  });

  it("is read once, however often its command is heard", async () => {
    const steering = new Steering();
    const again = () => steering.hear(1, message("once"));
    const scripts = [sayWhile("one", again), sayWhile("two", again), say("never")];
    const { requests } = await hearing({ scripts }, steering);
    expect(requests).toHaveLength(2);
  });

  it("is left to a run of its own when the run has no step left", async () => {
    const steering = new Steering();
    const scripts = [sayWhile("that is all", () => steering.hear(1, message("more")))];
    const { finished, requests } = await hearing({ scripts, agent: { maxSteps: 1 } }, steering);
    expect(finished).toMatchObject({ status: RunStatus.COMPLETED, steps: 1 });
    expect(requests).toHaveLength(1);
  });

  it(`is read anew by the step that is made anew ${verifies("S8")}`, async () => {
    const steering = new Steering();
    const breaking: ModelScript = async function* () {
      yield* text("half");
      throw failure(ErrorReason.MODEL_UNAVAILABLE, "overloaded", {
        metadata: { model: "test/scripted", status: "529", problem: "overloaded_error" },
      });
    };
    const scripts = [sayWhile("one", () => steering.hear(1, message("more"))), breaking, say("two")];
    const { of, requests, batches } = await hearing({ scripts }, steering);
    // In one batch: there is no moment at which the log knows of nobody who reads it.
    expect(batches.find((kinds) => kinds.includes("stepDiscarded"))).toContain("stepStarted");
    expect(of("stepDiscarded")).toMatchObject([{ step: 2, reason: DiscardReason.MODEL_RETRY }]);
    expect(of("stepStarted").map(({ messageIds }) => messageIds)).toEqual([[], ["msg_more"], ["msg_more"]]);
    expect(shownIn(requests[2])).toEqual(shownIn(requests[1]));
  });

  it(`that an earlier worker did not read is found in the log, and its command then heard for nothing ${verifies("R4")}`, async () => {
    const steering = new Steering();
    steering.hear(1, message("from the log"));
    const received: EventBody = {
      case: "messageReceived",
      value: { runId: "run_1", messageId: "msg_from the log", content: content("from the log") },
    };
    const log: LoopOptions["log"] = [
      { body: { case: "stepStarted", value: {} } as const, step: 1 },
      { body: { case: "usage", value: { stopReason: "end" } } as const, step: 1 },
      { body: received, step: 0 },
    ];
    const { requests, of } = await hearing({ scripts: [say("both")], log, attempt: 2 }, steering);
    expect(shownIn(requests[0])).toEqual([
      ["user", "please"],
      ["user", "from the log"],
    ]);
    expect(of("stepStarted")).toMatchObject([{ messageIds: ["msg_from the log"] }]);
    expect(requests).toHaveLength(1);
  });
});

describe("the conversation of a log with steering", () => {
  const events = (...bodies: readonly (readonly [EventBody, runId?: string, step?: number])[]) => {
    const fold = new ConversationFold(100);
    for (const [body, runId = "run_1", step = 1] of bodies) fold.apply(encodeEvent({ runId, step, attempt: 1, body }));
    return fold;
  };
  const received = (
    words: string,
    runId = "run_1",
    queueMode: QueueMode = QueueMode.STEER,
  ): readonly [EventBody, string] => [
    { case: "messageReceived", value: { messageId: `msg_${words}`, runId, content: content(words), queueMode } },
    "",
  ];
  const started = (runId = "run_1") => [{ case: "runStarted", value: {} }, runId] as const;
  const step = (number: number, ...messageIds: string[]): readonly [EventBody, string, number] => [
    { case: "stepStarted", value: { messageIds } },
    "run_1",
    number,
  ];
  const said = (words: string, blockId: string, number: number): readonly [EventBody, string, number] => [
    { case: "textDelta", value: { blockId, offset: 0n, text: words } },
    "run_1",
    number,
  ];
  const shown = (fold: ConversationFold) => shownIn({ messages: toModelMessages(fold, 100) });

  it("has a message where a model call read it, not where it came", () => {
    const fold = events(
      received("first"),
      started(),
      step(1),
      received("steer"),
      said("one", "1.1.0", 1),
      step(2),
      said("two", "1.2.0", 2),
      step(3, "msg_steer"),
      said("three", "1.3.0", 3),
    );
    expect(shown(fold)).toEqual([
      ["user", "first"],
      ["assistant", "one"],
      ["assistant", "two"],
      ["user", "steer"],
      ["assistant", "three"],
    ]);
  });

  it("moves what was never read to the run that is queued for it", () => {
    const fold = events(
      received("first"),
      started(),
      step(1),
      received("steer"),
      said("one", "1.1.0", 1),
      [{ case: "runFinished", value: { status: RunStatus.COMPLETED } }],
      [{ case: "runQueued", value: { messageIds: ["msg_steer"] } }, "run_2"],
      started("run_2"),
    );
    expect(shown(fold)).toEqual([
      ["user", "first"],
      ["assistant", "one"],
      ["user", "steer"],
    ]);
    expect(fold.workOn("run_2")?.run.messages).toHaveLength(1);
  });

  it("has collected messages in front of their run", () => {
    const fold = events(
      received("one", "run_1", QueueMode.COLLECT),
      received("two", "run_1", QueueMode.COLLECT),
      started(),
      step(1),
      said("both", "1.1.0", 1),
    );
    expect(shown(fold)).toEqual([
      ["user", "one"],
      ["user", "two"],
      ["assistant", "both"],
    ]);
  });
});
