import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { makePng } from "../../../test/support/fake-anthropic/requests/pictures.ts";
import { apiError, text } from "../../../test/support/fake-anthropic/script.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { bodiesOf } from "../real-model.fixture.ts";
import {
  answering,
  type Content,
  callTool,
  expectToGoOn,
  lastBody,
  messagesOf,
  start,
  toolThenText,
  words,
} from "./mended-session.fixture.ts";

const picture = (bytes: Buffer): Content => ({
  block: {
    case: "image",
    value: { media: { mediaType: "image/png", size: BigInt(bytes.length), source: { case: "inline", value: bytes } } },
  },
});

/** Where the API would find something: `messages.N.content.M`, or in a result `….tool_result.content.K`. */
function placeOf(body: JsonObject, mark: string): string | undefined {
  for (const [n, message] of messagesOf(body).entries()) {
    for (const [m, block] of message.content.entries()) {
      if (!JSON.stringify(block).includes(mark)) continue;
      const parts = Array.isArray(block.content) ? block.content : [];
      const k = parts.findIndex((part) => JSON.stringify(part).includes(mark));
      return `messages.${n}.content.${m}${k < 0 ? "" : `.tool_result.content.${k}`}`;
    }
  }
  return undefined;
}

describe(`a history that the API refuses ${verifies("F2", "F1", "FA3", "FA4")}`, () => {
  const bad = makePng(9, 9, 7);
  const good = [makePng(8, 8, 1), makePng(8, 8, 2), makePng(8, 8, 3)] as const;
  const base64 = (bytes: Buffer): string => bytes.toString("base64");

  it.each<[string, (body: JsonObject) => string | undefined]>([
    [
      "by its place",
      (body) => {
        const at = placeOf(body, base64(bad));
        return (
          at &&
          `${at}.image.source.base64.data: The image was specified using the image/png media type, but the image appears to be a image/jpeg image`
        );
      },
    ],
    [
      "by its size, at its place",
      (body) => {
        const at = placeOf(body, base64(bad));
        return at && `${at}.image.source.base64: image exceeds 5 MB maximum: 6000000 bytes > 5242880 bytes`;
      },
    ],
    [
      "by the block that it is in",
      (body) => {
        const at = placeOf(body, base64(bad))?.split(".tool_result")[0];
        return at && `${at}.tool_result: something about it`;
      },
    ],
    [
      "without saying which",
      (body) => (JSON.stringify(body).includes(base64(bad)) ? "Could not process image" : undefined),
    ],
    [
      "in words that nobody knows",
      (body) => (JSON.stringify(body).includes(base64(bad)) ? "Input does not conform" : undefined),
    ],
  ])("for a picture, named %s, loses the picture and nothing else", async (how, refuse) => {
    const content = [words("look"), picture(good[0]), picture(bad), picture(good[1]), picture(good[2])];
    const real = await start({ router: answering(content) }, toolThenText(refuse));
    const { run, sessionId, events } = await real.ask("look at it");
    expect(run).toMatchObject({ status: RunStatus.COMPLETED, attempt: 1 });
    const [mended] = bodiesOf(events, "historyMended");
    expect(mended?.reason).toContain("refused a part of the conversation");
    expect(real.statuses().length).toBeLessThanOrEqual(2 + 8);
    const sent = lastBody(real);
    expect(sent).not.toContain(base64(bad));
    expect(sent).toMatch(/stood here that the model's API refused/);
    expect(sent).toContain('"look"');
    if (!how.startsWith("by the block")) for (const each of good) expect(sent).toContain(base64(each));
    await expectToGoOn(real, sessionId);
  });

  it("for arguments, loses them", async () => {
    const poisoned = (body: JsonObject) => {
      const at = placeOf(body, "poisoned");
      return at && `${at}.tool_use.input: Input should be a valid dictionary`;
    };
    const real = await start({}, toolThenText(poisoned, callTool(1, { x: "poisoned" })));
    const { run, sessionId, events } = await real.ask("go");
    expect(run.status).toBe(RunStatus.COMPLETED);
    expect(bodiesOf(events, "historyMended")[0]?.blocks).toMatchObject([
      { block: expect.stringMatching(/^arguments:/) },
    ]);
    await expectToGoOn(real, sessionId);
  });

  it("for what a person said, at its place, goes on with a note there", async () => {
    const real = await start({}, (body) => {
      const at = placeOf(body, "unspeakable");
      return at === undefined ? text("fine") : apiError(400, { message: `${at}.text: refused` });
    });
    const { run, sessionId } = await real.ask("the unspeakable");
    expect(run.status).toBe(RunStatus.COMPLETED);
    expect(lastBody(real)).toContain("A text stood here");
    await expectToGoOn(real, sessionId);
  });

  it("for reasoning, leaves it out from then on", async () => {
    const thinking = { type: "thinking", thinking: "Let me see." } as const;
    let refuses = false;
    const real = await start({ agent: { thinkingTokens: 2_000, maxOutputTokens: 1_000 } }, (body) => {
      if (refuses && JSON.stringify(body.messages).includes("Let me see.")) {
        return apiError(400, {
          message: "messages.1.content.0: `thinking` blocks in the latest assistant message cannot be modified",
        });
      }
      return { kind: "answer", blocks: [thinking, { type: "text", text: "yes" }] };
    });
    const { sessionId } = await real.ask("one");
    refuses = true;
    const { run, events } = await real.ask("two", sessionId);
    expect(run.status).toBe(RunStatus.COMPLETED);
    expect(bodiesOf(events, "historyMended")).toMatchObject([{ withoutThinking: true, blocks: [] }]);
    expect(real.statuses()).toEqual([200, 400, 200]);
    refuses = false;
    await real.replaceWorker();
    const last = await real.ask("three", sessionId);
    expect(last.run.status).toBe(RunStatus.COMPLETED);
    // That of the second run came after it was refused, and is sent again.
    expect(lastBody(real).match(/Let me see\./g)).toHaveLength(1);
  });

  it("in which nothing helps ends the run within its bound, and says what a person can do", async () => {
    const real = await start({ router: answering([words("a".repeat(2_000)), picture(good[0])]) }, (body) =>
      JSON.stringify(body.messages).includes("tool_result") ? apiError(400, { message: "messages: no" }) : callTool(),
    );
    const { run } = await real.ask("go");
    expect(run).toMatchObject({
      status: RunStatus.FAILED,
      failure: { reason: ErrorReason.MODEL_REFUSED, retryable: false },
    });
    expect(run.failure?.message).toMatch(/[Rr]eset or fork the session/);
    expect(real.statuses().length).toBeLessThanOrEqual(1 + 9);
  });

  it.each([
    "Your credit balance is too low to access the Anthropic API.",
    "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens",
    "system: text content blocks must be non-empty",
    "This organization has been disabled.",
  ])("is not meant by %j: one request", async (message) => {
    const real = await start({}, [apiError(400, { message })]);
    const { run } = await real.ask("hi");
    expect(run).toMatchObject({ status: RunStatus.FAILED, failure: { reason: ErrorReason.MODEL_REFUSED } });
    expect(real.statuses()).toEqual([400]);
  });
});
