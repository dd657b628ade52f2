import { ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { makePng } from "../../../../test/support/fake-anthropic/pictures.ts";
import { apiError, type FakeBlock, type FakeReply, text } from "../../../../test/support/fake-anthropic/script.ts";
import {
  type FakeAnthropic,
  startFakeAnthropic,
} from "../../../../test/support/fake-anthropic/start-fake-anthropic.ts";
import { systemClock } from "../../../kernel/clock.ts";
import { ErrorReason, failureFacts } from "../../../kernel/errors.ts";
import { createLog, type Log } from "../../../kernel/log.ts";
import { assistant, call, gather, requestOf, result, tool, user } from "../collect-parts.fixture.ts";
import type { ModelBlock, ModelPart } from "../model.ts";
import { type AnthropicModel, type AnthropicSettings, createAnthropicModel } from "./anthropic-model.ts";
import { missingResultText } from "./request/repair-history.ts";

let fake: FakeAnthropic;
let lines: string[];
let log: Log;

beforeEach(async () => {
  fake = await startFakeAnthropic();
  lines = [];
  log = createLog({ level: "debug", format: "json", destination: { write: (line) => lines.push(line) } });
});

afterEach(() => fake.close());

function model(more: Partial<AnthropicSettings> = {}): AnthropicModel {
  const settings = {
    apiKey: "sk-secret",
    baseUrl: fake.url,
    maxRetries: 0,
    timeoutMs: 20_000,
    silenceMs: 10_000,
    ...more,
  };
  return createAnthropicModel(settings, { clock: systemClock, log });
}

function answer(...blocks: readonly FakeBlock[]): FakeReply {
  return { kind: "answer", blocks };
}

async function failureOfCall(promise: Promise<unknown>) {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConnectError)) throw new Error("expected a failure", { cause: error });
  return { ...failureFacts(error), message: error.rawMessage };
}

function cutAfter(afterDeltas: number): FakeReply {
  return { kind: "answer", blocks: [{ type: "text", text: "a b" }], break: { kind: "cut", afterDeltas } };
}

function lastBody(): Record<string, unknown> {
  return fake.requests().at(-1)?.body ?? {};
}

const readFile = tool("filesystem.read_file", { path: { type: "string" } }, ["path"], "Reads a file");

describe("an answer", () => {
  it("streams text word by word, with usage before the stop", async () => {
    fake.setScript([text("Hello there, friend.")]);
    const { parts } = await gather(model(), requestOf("hi"));
    expect(parts.map((part) => part.kind)).toEqual([
      "usage",
      "block-start",
      "text",
      "text",
      "text",
      "block-stop",
      "usage",
      "stop",
    ]);
    expect(parts.at(-2)).toEqual({
      kind: "usage",
      inputTokens: 25,
      outputTokens: 3,
      cacheReadTokens: 0,
      cacheWriteTokens: 0,
    });
    expect(parts.at(-1)).toEqual({ kind: "stop", reason: "end", detail: "" });
  });

  it("carries cache counts", async () => {
    const usage = { input_tokens: 3, cache_read_input_tokens: 2_000, cache_creation_input_tokens: 40 };
    fake.setScript([{ kind: "answer", blocks: [{ type: "text", text: "ok" }], usage }]);
    const { parts } = await gather(model(), requestOf("hi"));
    expect(parts.findLast((part) => part.kind === "usage")).toEqual({
      kind: "usage",
      inputTokens: 3,
      outputTokens: 1,
      cacheReadTokens: 2_000,
      cacheWriteTokens: 40,
    });
  });

  it("gives a call its tool's own name and its parsed input", async () => {
    const input = { path: "notes.md", deep: { list: [1, "zwei", null] } };
    fake.setScript([
      answer(
        { type: "text", text: "Reading." },
        { type: "tool_use", id: "toolu_1", name: "filesystem__read_file", input },
      ),
    ]);
    const gathered = await gather(model(), requestOf("read", { tools: [readFile] }));
    expect(gathered.calls).toEqual([{ callId: "toolu_1", tool: "filesystem.read_file", arguments: input }]);
    expect(gathered.stop).toBe("tool_use");
  });

  it("keeps a name that the model made up, and takes a call without arguments", async () => {
    fake.setScript([answer({ type: "tool_use", id: "toolu_1", name: "invented", input: {} })]);
    const gathered = await gather(model(), requestOf("read", { tools: [readFile] }));
    expect(gathered.calls).toEqual([{ callId: "toolu_1", tool: "invented", arguments: {} }]);
  });

  it.each([
    ["end_turn", "end"],
    ["stop_sequence", "end"],
    ["max_tokens", "max_tokens"],
    ["refusal", "refusal"],
    ["model_context_window_exceeded", "context_full"],
    ["pause_turn", "pause"],
    ["something_new", "end"],
  ])("maps the stop reason %s to %s", async (stopReason, ours) => {
    fake.setScript([{ kind: "answer", blocks: [{ type: "text", text: "ok" }], stopReason }]);
    expect((await gather(model(), requestOf("hi"))).stop).toBe(ours);
  });
});

describe("reasoning", () => {
  it("is streamed with its signature, and the API takes it back", async () => {
    fake.setScript([
      answer(
        { type: "thinking", thinking: "Let me look at the file." },
        { type: "redacted_thinking", data: "opaque" },
        { type: "tool_use", id: "toolu_1", name: "filesystem__read_file", input: { path: "a" } },
      ),
      text("done"),
    ]);
    const first = await gather(model(), requestOf("read", { tools: [readFile], thinkingTokens: 2048 }));
    expect(first.thinking).toBe("Let me look at the file.");
    const blocks = first.parts.flatMap((part): ModelBlock[] =>
      part.kind === "block-stop" && part.block === "thinking"
        ? [
            {
              type: "thinking",
              text: part.redacted ? "" : first.thinking,
              signature: part.signature,
              redacted: part.redacted,
            },
          ]
        : [],
    );
    expect(blocks).toHaveLength(2);
    const history = [
      user("read"),
      assistant(...blocks, call("toolu_1", "filesystem.read_file", { path: "a" })),
      user(result("toolu_1", "text")),
    ];
    const second = await gather(model(), requestOf(history, { tools: [readFile], thinkingTokens: 2048 }));
    expect(second.text).toBe("done");
    expect(lastBody().thinking).toEqual({ type: "enabled", budget_tokens: 2048 });
    expect(lastBody().max_tokens).toBe(4096 + 2048);
  });

  it.each([
    ["claude-sonnet-5-5", 2048, { type: "adaptive", display: "summarized" }],
    ["claude-sonnet-5-5", 0, { type: "between_tools" }],
    ["claude-sonnet-5", 0, { type: "disabled" }],
    ["claude-opus-5-5", 0, undefined],
    ["claude-haiku-4-5", 0, undefined],
    ["claude-haiku-4-5", 100, { type: "enabled", budget_tokens: 1024 }],
  ])("%s with %i tokens is asked with %o", async (name, thinkingTokens, thinking) => {
    await gather(model(), requestOf("hi", { model: name, thinkingTokens }));
    expect(lastBody().thinking).toEqual(thinking);
  });

  it("is left out after the API refused it, and that is logged", async () => {
    fake.setScript((body) =>
      JSON.stringify(body.messages).includes("redacted_thinking")
        ? apiError(400, { message: "The block is bound to a different conversation." })
        : text("fine"),
    );
    const signature = new TextEncoder().encode("opaque");
    const old: ModelBlock = { type: "thinking", text: "", signature, redacted: true };
    const gathered = await gather(model(), requestOf([user("a"), assistant(old, "b"), user("c")]));
    expect(gathered.text).toBe("fine");
    expect(fake.requests()).toHaveLength(2);
    expect(lines.join("")).toContain("asking again without it");
  });
});

describe("a request", () => {
  it("mends a history that the API would refuse", async () => {
    const history = [
      assistant("I begin."),
      user("one"),
      user("  "),
      assistant(call("c:1", "filesystem.read_file", { path: "a" }), call("c:2", "weird.tool name!", {})),
      user("go on", result("c:1", "text of a")),
      assistant({ type: "thinking", text: "unsigned", signature: new Uint8Array(0), redacted: false }),
      user(result("gone", "an orphan")),
      assistant("bye"),
    ];
    const gathered = await gather(model(), requestOf(history, { tools: [readFile] }));
    expect(gathered.stop).toBe("end");
    const sent = JSON.stringify(lastBody().messages);
    for (const kept of [missingResultText, "text of a", "an orphan", "go on", "I begin.", "bye"])
      expect(sent).toContain(kept);
  });

  it("declares the tools of its history when none may be called", async () => {
    const history = [user("a"), assistant(call("c1", "filesystem.read_file")), user(result("c1", "x"))];
    await gather(model(), requestOf(history));
    expect(lastBody()).toMatchObject({ tool_choice: { type: "none" }, tools: [{ name: "filesystem__read_file" }] });
  });

  it("puts breakpoints on tools, instructions and the last two messages of the user, tools in order of name", async () => {
    const history = [user("a"), assistant("b"), user("c"), assistant("d"), user("e")];
    await gather(model(), requestOf(history, { tools: [readFile, tool("a.b")], instructions: "Be kind." }));
    const body = lastBody() as { tools: { name: string }[]; system: unknown; messages: unknown[] };
    expect(body.tools.map((each) => each.name)).toEqual(["a__b", "filesystem__read_file"]);
    const marked = [body.tools[1], body.system, body.messages[2], body.messages[4]];
    expect(marked.map((part) => JSON.stringify(part).includes("ephemeral"))).toEqual([true, true, true, true]);
    expect(JSON.stringify(body).match(/ephemeral/g)).toHaveLength(4);
  });

  it("sends images that the API takes, and says so of others", async () => {
    const bytes = makePng(3, 2);
    const image = (mediaType: string): ModelBlock => ({ type: "image", mediaType, bytes });
    await gather(model(), requestOf([user(image("image/png"), image("image/tiff"))]));
    const sent = JSON.stringify(lastBody().messages);
    expect(sent).toContain(`"data":"${bytes.toString("base64")}"`);
    expect(sent).toContain("image/tiff can't be shown");
  });

  it("asks for no more tokens than the model has", async () => {
    await gather(model(), requestOf("hi", { maxOutputTokens: 1_000_000 }));
    expect(lastBody().max_tokens).toBe(64_000);
  });
});

describe("a failure", () => {
  it.each([
    [400, ErrorReason.MODEL_REFUSED],
    [401, ErrorReason.MODEL_REFUSED],
    [402, ErrorReason.MODEL_REFUSED],
    [403, ErrorReason.MODEL_REFUSED],
    [404, ErrorReason.MODEL_NOT_FOUND],
    [413, ErrorReason.MODEL_REFUSED],
    [429, ErrorReason.MODEL_UNAVAILABLE],
    [500, ErrorReason.MODEL_UNAVAILABLE],
    [529, ErrorReason.MODEL_UNAVAILABLE],
  ])("of status %i has its reason, its status and the API's words", async (status, reason) => {
    fake.setScript([apiError(status, { message: `because of ${status} and sk-secret` })]);
    const facts = await failureOfCall(gather(model(), requestOf("hi")));
    expect(facts.reason).toBe(reason);
    expect(facts.metadata).toMatchObject({ model: "claude-haiku-4-5", status: String(status) });
    expect(facts.message).toContain(`because of ${status}`);
    expect(facts.message).not.toContain("sk-secret");
    expect(fake.requests()).toHaveLength(1);
  });

  it.each([
    ["529", apiError(529)],
    ["a connection that breaks before the answer", { kind: "hangup" }],
    ["a connection that breaks in the answer", cutAfter(1)],
    ["429", apiError(429, { headers: { "retry-after": "1" } })],
    ["an answer that can't be read", { kind: "raw", pieces: ["data: {\n\n"] }],
  ] satisfies [string, FakeReply][])(
    `of one kind (%s) is one request: the step has the retries ${verifies("FW5")}`,
    async (_what, reply) => {
      fake.setScript([reply, text("second")]);
      const facts = await failureOfCall(gather(model({ maxRetries: 5 }), requestOf("hi")));
      expect(facts.reason).toBe(ErrorReason.MODEL_UNAVAILABLE);
      expect(facts.metadata.retry).toBeUndefined();
      expect(fake.requests()).toHaveLength(1);
    },
  );

  it.each([
    ["in seconds", { "retry-after": "120" }, 120_000],
    ["in milliseconds", { "retry-after-ms": "1500" }, 1_500],
    ["of ten minutes", { "retry-after": "600" }, 600_000],
    ["that no clock holds", { "retry-after": "1e300" }, 2_147_483_647],
    ["that is none", { "retry-after": "soon" }, 0],
    ["in the past", { "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT" }, 0],
  ])(`carries the wait that the API asks for, %s ${verifies("FW3", "FW5")}`, async (_what, headers, waitMs) => {
    fake.setScript([apiError(429, { headers })]);
    expect((await failureOfCall(gather(model(), requestOf("hi")))).retryAfterMs).toBe(waitMs);
  });

  it(`carries a wait that the API asks for as a date ${verifies("FW3")}`, async () => {
    fake.setScript([apiError(503, { headers: { "retry-after": new Date(Date.now() + 60_000).toUTCString() } })]);
    const { retryAfterMs } = await failureOfCall(gather(model(), requestOf("hi")));
    expect(retryAfterMs).toBeGreaterThan(40_000);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  it.each([
    [500, "false", ErrorReason.MODEL_UNAVAILABLE, "false"],
    [529, "false", ErrorReason.MODEL_UNAVAILABLE, "false"],
    [403, "true", ErrorReason.MODEL_UNAVAILABLE, undefined],
    [500, "maybe", ErrorReason.MODEL_UNAVAILABLE, undefined],
  ])(
    `of status %i carries the server's word x-should-retry: %s ${verifies("FW5")}`,
    async (status, word, reason, retry) => {
      fake.setScript([apiError(status, { headers: { "x-should-retry": word } })]);
      const facts = await failureOfCall(gather(model(), requestOf("hi")));
      expect([facts.reason, facts.metadata.retry]).toEqual([reason, retry]);
    },
  );

  it.each([
    ["cut", "cut"],
    ["end", "cut"],
  ] as const)("in mid-answer (%s) comes after the parts and is not retried", async (kind, problem) => {
    fake.setScript([{ kind: "answer", blocks: [{ type: "text", text: "a b c d" }], break: { kind, afterDeltas: 2 } }]);
    const parts: ModelPart[] = [];
    const reading = (async () => {
      for await (const part of model({ maxRetries: 3 }).stream(requestOf("hi"))) parts.push(part);
    })();
    const facts = await failureOfCall(reading);
    expect(facts.reason).toBe(ErrorReason.MODEL_UNAVAILABLE);
    expect(facts.metadata.problem).toBe(problem);
    expect(parts.filter((part) => part.kind === "text")).toHaveLength(2);
    expect(fake.requests()).toHaveLength(1);
  });

  it("as an error event in mid-answer is that error", async () => {
    const broken = { kind: "error", afterDeltas: 1, type: "overloaded_error", message: "Overloaded" } as const;
    fake.setScript([{ kind: "answer", blocks: [{ type: "text", text: "a b c" }], break: broken }]);
    const facts = await failureOfCall(gather(model(), requestOf("hi")));
    expect(facts.reason).toBe(ErrorReason.MODEL_UNAVAILABLE);
    expect(facts.metadata).toMatchObject({ status: "529", problem: "overloaded_error" });
  });

  it("to reach the API says where to look", async () => {
    await fake.close();
    const facts = await failureOfCall(gather(model(), requestOf("hi")));
    expect(facts.metadata.problem).toBe("unreachable");
    expect(facts.message).toContain("ANTHROPIC_BASE_URL");
  });

  it("for want of time is a failure of its own, also in mid-answer", async () => {
    const stall = { kind: "stall", afterDeltas: 1 } as const;
    fake.setScript([{ kind: "answer", blocks: [{ type: "text", text: "a b" }], break: stall }]);
    const facts = await failureOfCall(gather(model({ timeoutMs: 300 }), requestOf("hi")));
    expect(facts.metadata.problem).toBe("timeout");
  });

  it("for want of a key says how to get one and asks nobody", async () => {
    const keyless = model({ apiKey: "" });
    const facts = await failureOfCall(gather(keyless, requestOf("hi")));
    expect(facts.reason).toBe(ErrorReason.MODEL_REFUSED);
    expect(facts.message).toContain("ANTHROPIC_API_KEY");
    expect(keyless.problem).toContain("ANTHROPIC_API_KEY");
    expect(fake.requests()).toHaveLength(0);
  });
});

describe("the signal", () => {
  const stalled: FakeReply = {
    kind: "answer",
    blocks: [{ type: "text", text: "a b" }],
    break: { kind: "stall", afterDeltas: 1 },
  };

  it.each([
    ["in mid-answer", stalled],
    ["before the first byte", { kind: "silence" }],
  ] satisfies [string, FakeReply][])(
    "stops the call %s with its own reason, and the API sees it",
    async (_when, reply) => {
      fake.setScript([reply]);
      const stop = new AbortController();
      const reason = new Error("stopped by a person");
      const reading = gather(model({ maxRetries: 3 }), requestOf("hi", { signal: stop.signal }));
      const outcome = expect(reading).rejects.toBe(reason);
      await expect.poll(() => fake.requests().length).toBe(1);
      stop.abort(reason);
      await outcome;
      await expect.poll(() => fake.requests()[0]?.outcome).toBeDefined();
    },
  );

  it("that is aborted already asks nobody", async () => {
    const signal = AbortSignal.abort(new Error("too late"));
    await expect(gather(model(), requestOf("hi", { signal }))).rejects.toThrow("too late");
    expect(fake.requests()).toHaveLength(0);
  });
});
