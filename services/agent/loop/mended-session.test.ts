import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { makePng } from "../../../test/support/fake-anthropic/pictures.ts";
import { apiError, type FakeReply, type FakeScript, text } from "../../../test/support/fake-anthropic/script.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import type { RouterHandlers } from "../agent.fixture.ts";
import { bodiesOf, type RealModel, type RealModelOptions, startRealModel } from "../real-model.fixture.ts";

type Content = { block: { case: "text"; value: { text: string } } | { case: "image"; value: object } };

const words = (said: string): Content => ({ block: { case: "text", value: { text: said } } });
const picture = (bytes: Buffer): Content => ({
  block: {
    case: "image",
    value: { media: { mediaType: "image/png", size: BigInt(bytes.length), source: { case: "inline", value: bytes } } },
  },
});

/** A router whose tools answer with this content, call after call. */
function answering(...contents: readonly (readonly Content[])[]): RouterHandlers {
  let calls = 0;
  return {
    listTools: () => ({ tools: [{ name: "files.read", description: "Reads." }] }),
    async *callTool(requests) {
      for await (const { frame } of requests) {
        if (frame.case !== "call") continue;
        const { callId, tool } = frame.value;
        yield { frame: { case: "started", value: { callId, tool } } };
        const content = contents[calls++ % contents.length] ?? [];
        yield {
          frame: { case: "result", value: { callId, outcome: ToolOutcome.SUCCEEDED, content: [...content] as never } },
        };
        return;
      }
    },
  };
}

const callTool = (count = 1, input: JsonObject = {}): FakeReply => ({
  kind: "answer",
  blocks: Array.from({ length: count }, () => ({ type: "tool_use", name: "files__read", input })),
});

interface SentMessage {
  readonly role: string;
  readonly content: readonly JsonObject[];
}

const messagesOf = (body: JsonObject): readonly SentMessage[] => body.messages as never;

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

/** Uses a tool once, then answers; refuses what `refuse` says. */
function toolThenText(refuse: (body: JsonObject) => string | undefined, use: FakeReply = callTool()): FakeScript {
  return (body) => {
    const problem = refuse(body);
    if (problem !== undefined) return apiError(400, { message: problem });
    return JSON.stringify(body.messages).includes("tool_result") ? text("answered") : use;
  };
}

/** The session goes on: with this worker and with one that knows the log alone, and no request is refused any more. */
async function expectToGoOn(real: RealModel, sessionId: string): Promise<void> {
  real.statuses();
  for (const replaced of [false, true]) {
    if (replaced) await real.replaceWorker();
    const { run } = await real.ask("and now?", sessionId);
    expect(run.status).toBe(RunStatus.COMPLETED);
    expect(real.statuses()).toEqual([200]);
  }
}

const lastBody = (real: RealModel): string => JSON.stringify(real.fake.requests().at(-1)?.body.messages);

async function start(options: RealModelOptions, script: FakeScript): Promise<RealModel> {
  const real = await startRealModel(options);
  real.fake.setScript(script);
  return real;
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

describe(`a prompt that is too long ${verifies("FA6", "F2")}`, () => {
  it("for four answers of 250 KB is shortened, the largest first, and the session goes on", async () => {
    const long = ["a", "b", "c", "d"].map((letter) => [
      words(`${letter}-begin ${letter.repeat(250_000)} ${letter}-end`),
    ]);
    const real = await start(
      { fake: { contextTokens: 100_000 }, router: answering(...long, [words("short and whole")]) },
      toolThenText(() => undefined, callTool(5)),
    );
    const { run, sessionId, events } = await real.ask("read it all");
    expect(run.status).toBe(RunStatus.COMPLETED);
    expect(real.statuses()).toEqual([200, 400, 200]);
    const [mended] = bodiesOf(events, "historyMended");
    expect(mended?.blocks).toHaveLength(4);
    expect(mended?.reason).toContain("no longer fitted");
    const sent = lastBody(real);
    expect(sent).toContain("short and whole");
    for (const letter of ["a", "b", "c", "d"]) {
      expect(sent).toContain(`${letter}-begin`);
      expect(sent).toContain(`${letter}-end`);
    }
    expect(Buffer.byteLength(sent)).toBeGreaterThan(250_000);
    await expectToGoOn(real, sessionId);
  });

  it("shortens the answers of earlier turns before the newest", async () => {
    const contents = [[words(`old ${"o".repeat(250_000)}`)], [words(`new ${"n".repeat(200_000)}`)]];
    const real = await start({ fake: { contextTokens: 80_000 }, router: answering(...contents) }, (body) => {
      const last = messagesOf(body).at(-1)?.content ?? [];
      return last.some(({ type }) => type === "tool_result") ? text("read") : callTool();
    });
    const { sessionId } = await real.ask("first");
    const { run } = await real.ask("second", sessionId);
    expect(run.status).toBe(RunStatus.COMPLETED);
    expect(lastBody(real)).toContain("n".repeat(200_000));
    expect(lastBody(real)).not.toContain("o".repeat(200_000));
  });

  it("says reset or fork when a person's own words do not fit at their shortest", async () => {
    const real = await start({ fake: { contextTokens: 300 } }, [text("no")]);
    const { run } = await real.ask("w ".repeat(20_000));
    expect(run).toMatchObject({ status: RunStatus.FAILED, failure: { reason: ErrorReason.MODEL_REFUSED } });
    expect(run.failure?.message).toMatch(/[Rr]eset or fork the session/);
    expect(real.statuses().length).toBeLessThanOrEqual(9);
  });
});

describe(`a tool that the API refuses ${verifies("F1", "F2", "FT2")}`, () => {
  const tools = (...schemas: readonly JsonObject[]): RouterHandlers => ({
    ...answering([words("ok")]),
    listTools: () => ({
      tools: schemas.map((inputSchema, n) => ({ name: `srv${n}.tool`, description: "", inputSchema })),
    }),
  });
  const sound: JsonObject = { type: "object", properties: { a: { type: "string" } } };

  it.each<[string, JsonObject]>([
    ["a boolean exclusiveMinimum", { type: "object", properties: { a: { type: "number", exclusiveMinimum: true } } }],
    ["an unknown type", { type: "object", properties: { a: { type: "strnig" } } }],
    ["required that is no list", { type: "object", required: "a" }],
    ["a property that is a text", { type: "object", properties: { a: "text" } }],
  ])("for %s is left out, visibly, and asked for no more", async (_what, schema) => {
    const real = await start({ router: tools(sound, schema, sound) }, [text("fine")]);
    const { run, events, sessionId } = await real.ask("hi");
    expect(run.status).toBe(RunStatus.COMPLETED);
    expect(real.statuses()).toEqual([400, 200]);
    expect(bodiesOf(events, "toolLeftOut")).toMatchObject([
      { tool: "srv1.tool", reason: expect.stringContaining("draft 2020-12") },
    ]);
    const sent = real.fake.requests().at(-1)?.body.tools as unknown as { name: string }[];
    expect(sent.map(({ name }) => name)).toEqual(["srv0__tool", "srv2__tool"]);
    const again = await real.ask("and?", sessionId);
    expect(again.run.status).toBe(RunStatus.COMPLETED);
    expect(real.statuses()).toEqual([200]);
    expect(bodiesOf(again.events, "toolLeftOut")).toHaveLength(1);
  });

  it("of a server with many of them costs no more requests than there are", async () => {
    const broken: JsonObject = { type: "object", properties: { a: { type: "strnig" } } };
    const router: RouterHandlers = {
      ...tools(),
      listTools: () => ({
        tools: [
          ...Array.from({ length: 40 }, (_, n) => ({ name: `bad.tool${n}`, inputSchema: broken })),
          { name: "good.tool", inputSchema: sound },
        ],
      }),
    };
    const real = await start({ router }, [text("fine")]);
    expect((await real.ask("hi")).run.status).toBe(RunStatus.COMPLETED);
    expect(real.statuses()).toEqual([400, 400, 400, 200]);
  });
});
