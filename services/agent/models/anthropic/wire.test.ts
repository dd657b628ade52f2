import { ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import type { ApiEvent } from "../../../../test/support/fake-anthropic/answers/api-event.ts";
import type { FakeBlock, FakeReply } from "../../../../test/support/fake-anthropic/script.ts";
import {
  type FakeAnthropic,
  startFakeAnthropic,
} from "../../../../test/support/fake-anthropic/start-fake-anthropic.ts";
import { systemClock } from "../../../kernel/clock.ts";
import { ErrorReason, failureFacts } from "../../../kernel/errors.ts";
import { createLog } from "../../../kernel/log.ts";
import { assistant, call, gather, requestOf, result, tool, user } from "../collect-parts.fixture.ts";
import type { ModelPart } from "../model.ts";
import { type AnthropicModel, type AnthropicSettings, createAnthropicModel } from "./anthropic-model.ts";

let fake: FakeAnthropic;

beforeEach(async () => {
  fake = await startFakeAnthropic();
});

afterEach(() => fake.close());

function model(more: Partial<AnthropicSettings> = {}): AnthropicModel {
  const base = { apiKey: "sk-secret", baseUrl: fake.url, maxRetries: 0, timeoutMs: 60_000, silenceMs: 30_000 };
  const log = createLog({ level: "silent", format: "json" });
  return createAnthropicModel({ ...base, ...more }, { clock: systemClock, log });
}

function answer(...blocks: readonly FakeBlock[]): FakeReply {
  return { kind: "answer", blocks };
}

function lastBody(): Record<string, unknown> {
  return fake.requests().at(-1)?.body ?? {};
}

/** The parts as far as they came, and how it ended. */
async function gatherUntilFailure(claude: AnthropicModel, request = requestOf("hi")) {
  const parts: ModelPart[] = [];
  try {
    for await (const part of claude.stream(request)) parts.push(part);
  } catch (error) {
    if (error instanceof ConnectError) return { parts, facts: failureFacts(error) };
    throw error;
  }
  throw new Error("expected a failure");
}

describe("the wire", () => {
  const words: readonly FakeBlock[] = [{ type: "text", text: "a b" }];

  it(`ends an answer with message_stop, also when the connection stays open, and lets it go ${verifies("FW1")}`, async () => {
    fake.setScript([{ kind: "answer", blocks: words, keepsOpen: true }]);
    const begunAt = performance.now();
    expect((await gather(model(), requestOf("hi"))).text).toBe("a b");
    expect(performance.now() - begunAt).toBeLessThan(5_000);
    await expect.poll(() => fake.openConnections()).toBe(0);
  });

  it.each<[string, (event: ApiEvent) => ApiEvent | undefined]>([
    ["message_start", (event) => (event.type === "message_start" ? { type: event.type, message: { id: "m" } } : event)],
    ["message_start, which has no message", (event) => (event.type === "message_start" ? { type: event.type } : event)],
    ["message_delta", (event) => (event.type === "message_delta" ? { ...event, usage: undefined as never } : event)],
    [
      "message_delta, where it is null",
      (event) => (event.type === "message_delta" ? { ...event, usage: null } : event),
    ],
    [
      "message_delta, where it is text",
      (event) =>
        event.type === "message_delta" ? { ...event, usage: { output_tokens: "NaN", input_tokens: -1 } } : event,
    ],
    ["an answer without message_delta", (event) => (event.type === "message_delta" ? undefined : event)],
  ])(`takes missing usage as zero: %s ${verifies("FW2")}`, async (_where, change) => {
    fake.setScript([
      {
        kind: "answer",
        blocks: words,
        edit: (events) =>
          events.flatMap(({ data, delta }) => {
            const data2 = change(data);
            return data2 === undefined ? [] : [{ data: data2, delta }];
          }),
      },
    ]);
    const { parts, text: said, stop } = await gather(model(), requestOf("hi"));
    expect([said, stop]).toEqual(["a b", "end"]);
    const usage = parts.findLast((part) => part.kind === "usage");
    for (const count of Object.values(usage ?? {})) expect(count === "usage" || Number.isSafeInteger(count)).toBe(true);
    expect(fake.requests()).toHaveLength(1);
  });

  it.each<[string, (data: ApiEvent) => string]>([
    ["no event line", (data) => `data: ${JSON.stringify(data)}\n\n`],
    ["CRLF", (data) => `event: ${data.type}\r\ndata: ${JSON.stringify(data)}\r\n\r\n`],
    ["CR", (data) => `event: ${data.type}\rdata: ${JSON.stringify(data)}\r\r`],
    [
      "no space, comments, ids and retry lines",
      (data) => `: hello\nid: 5\nretry: 10\ndata:${JSON.stringify(data)}\n\n`,
    ],
    [
      "an event over several lines",
      (data) =>
        `${JSON.stringify(data, undefined, 1)
          .split("\n")
          .map((line) => `data: ${line}`)
          .join("\n")}\n\n`,
    ],
    ["a wrong event name", (data) => `event: whatever\ndata: ${JSON.stringify(data)}\n\n`],
    [
      "no empty line at the end",
      (data) => `data: ${JSON.stringify(data)}\n${data.type === "message_stop" ? "" : "\n"}`,
    ],
  ])("is read with %s", async (_what, frame) => {
    fake.setScript([{ kind: "answer", blocks: [{ type: "text", text: "a ü 🏝 b" }], frame }]);
    expect((await gather(model(), requestOf("hi"))).text).toBe("a ü 🏝 b");
  });

  it("is read byte by byte", async () => {
    const whole: string[] = [];
    fake.setScript([
      {
        kind: "answer",
        blocks: [{ type: "text", text: "ü 🏝 b" }],
        frame: (data) => {
          const text = `data: ${JSON.stringify(data)}\r\n\r\n`;
          whole.push(text);
          return text;
        },
      },
    ]);
    const expected = await gather(model(), requestOf("hi"));
    const bytes = Buffer.from(whole.join(""));
    fake.setScript([{ kind: "raw", pieces: [...bytes].map((byte) => Uint8Array.of(byte)) }]);
    expect((await gather(model(), requestOf("hi"))).parts).toEqual(expected.parts);
  });

  it("gives a delta of 6 MiB, and a text behind the end of the answer not at all", async () => {
    const long = "x".repeat(6_291_456);
    const late = 'data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":"late"}}\n\n';
    fake.setScript([{ kind: "answer", blocks: [{ type: "text", text: long }], trailer: late }]);
    expect((await gather(model(), requestOf("hi"))).text).toBe(long);
  });

  it.each<[string, FakeReply, string]>([
    [
      "HTML with 200",
      { kind: "raw", headers: { "content-type": "text/html" }, pieces: ["<html>login</html>"] },
      "malformed",
    ],
    ["HTML that is called an event stream", { kind: "raw", pieces: ["<html>", "login</html>"] }, "malformed"],
    ["nothing at all", { kind: "raw", pieces: [] }, "malformed"],
    [
      "JSON with 200",
      { kind: "raw", headers: { "content-type": "application/json" }, pieces: ['{"type":"message"}'] },
      "malformed",
    ],
    [
      "HTML with 502",
      { kind: "raw", status: 502, headers: { "content-type": "text/html" }, pieces: ["<h1>Bad gateway</h1>"] },
      "status 502",
    ],
    [
      "garbage for data",
      { kind: "raw", pieces: ['data: {"type":"message_start"}\n\n', "data: {oops\n\n"] },
      "malformed",
    ],
    ["a list for an event", { kind: "raw", pieces: ["data: []\n\n"] }, "malformed"],
    [
      "an error event without an event line",
      { kind: "raw", pieces: ['data: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'] },
      "overloaded_error",
    ],
    ["an error event of no type", { kind: "raw", pieces: ['event: error\ndata: {"type":"error"}\n\n'] }, ""],
    ["an answer cut in its first event", { kind: "raw", pieces: ['data: {"type":"mess'], ending: "cut" }, "cut"],
    ["an answer that ends before its end", { kind: "raw", pieces: ['data: {"type":"message_start"}\n\n'] }, "cut"],
  ])("that brings %s is a failure that may pass", async (_what, reply, problem) => {
    fake.setScript([reply]);
    const { facts, parts } = await gatherUntilFailure(model());
    expect(facts.reason).toBe(ErrorReason.MODEL_UNAVAILABLE);
    expect([facts.metadata.problem, facts.metadata.retry, parts]).toEqual([problem, undefined, []]);
  });

  it.each<[string, FakeReply, number]>([
    ["before the first byte", { kind: "silence" }, 0],
    ["between two", { kind: "answer", blocks: words, break: { kind: "stall", afterDeltas: 1 } }, 1],
    ["after the headers", { kind: "raw", pieces: [], ending: "stall" }, 0],
  ])(
    `that is silent %s for too long has failed, long before the call's time is up ${verifies("FW3")}`,
    async (_when, reply, texts) => {
      fake.setScript([reply]);
      const { facts, parts } = await gatherUntilFailure(model({ silenceMs: 300 }));
      expect([facts.reason, facts.metadata.problem]).toEqual([ErrorReason.MODEL_UNAVAILABLE, "silent"]);
      expect(parts.filter((part) => part.kind === "text")).toHaveLength(texts);
      await expect.poll(() => fake.openConnections()).toBe(0);
    },
  );

  it("is alive while it pings", async () => {
    const ping = 'event: ping\ndata: {"type": "ping"}\n\n';
    const rest =
      'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"late"}}\n\ndata: {"type":"message_stop"}\n\n';
    await fake.close();
    fake = await startFakeAnthropic({ tokenDelayMs: 150 });
    fake.setScript([{ kind: "raw", pieces: [...Array.from({ length: 12 }, () => ping), rest] }]);
    expect((await gather(model({ silenceMs: 1_200 }), requestOf("hi"))).text).toBe("late");
  });
});

describe(`a parameter that the API does not take ${verifies("FT2", "FT4")}`, () => {
  const odd = tool(
    "clinic.book it",
    { "StartTime>": { type: "string" }, "": { type: "number" } },
    ["StartTime>"],
    "Books.",
  );

  it("has a legal name on the wire and its own everywhere else", async () => {
    let alias = "";
    fake.setScript((body) => {
      const [sent] = body.tools as { name: string; description: string; input_schema: { properties: object } }[];
      alias = Object.keys(sent?.input_schema.properties ?? {})[0] ?? "";
      expect(sent?.name).toMatch(/^t-[0-9a-f]+-clinic-book-it$/);
      expect(sent?.description).toBe('The tool is called "clinic.book it". Books.');
      return answer({ type: "tool_use", id: "toolu_1", name: sent?.name ?? "", input: { [alias]: "9:00" } });
    });
    const { calls } = await gather(model(), requestOf("book", { tools: [odd] }));
    expect(calls).toEqual([{ callId: "toolu_1", tool: "clinic.book it", arguments: { "StartTime>": "9:00" } }]);
    const history = [
      user("book"),
      assistant(call("toolu_1", "clinic.book it", { "StartTime>": "9:00" })),
      user(result("toolu_1", "ok")),
    ];
    await gather(model(), requestOf(history, { tools: [odd] }));
    expect(JSON.stringify(lastBody().messages)).toContain(`"input":{"${alias}":"9:00"}`);
    expect(fake.requests().map(({ status }) => status)).toEqual([200, 200]);
  });
});

it("frees the connection when the reader leaves early", async () => {
  fake.setScript([{ kind: "tokens", tokens: 1_000, tokenDelayMs: 5 }]);
  for await (const part of model().stream(requestOf("hi"))) if (part.kind === "text") break;
  await expect.poll(() => fake.requests()[0]?.outcome).toBe("client-gone");
});

it("remembers what the Models API said", async () => {
  const claude = model();
  expect(claude.knownAbilities("claude-sonnet-5-5")).toBeUndefined();
  await gather(claude, requestOf("hi", { model: "claude-sonnet-5-5" }));
  expect(claude.knownAbilities("claude-sonnet-5-5")).toMatchObject({ contextTokens: 1_000_000, maxTokens: 128_000 });
});
