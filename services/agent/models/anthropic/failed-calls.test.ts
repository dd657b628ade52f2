import { ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { apiError, type FakeReply, text } from "../../../../test/support/fake-anthropic/script.ts";
import { ErrorReason, failureFacts } from "../../../kernel/errors.ts";
import { gather, requestOf } from "../collect-parts.fixture.ts";
import type { ModelPart } from "../model.ts";
import { ModelUnderTest } from "./model-under-test.fixture.ts";

const on = new ModelUnderTest();

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
    on.fake.setScript([apiError(status, { message: `because of ${status} and sk-secret` })]);
    const facts = await failureOfCall(gather(on.model(), requestOf("hi")));
    expect(facts.reason).toBe(reason);
    expect(facts.metadata).toMatchObject({ model: "anthropic/claude-haiku-4-5", status: String(status) });
    expect(facts.message).toContain(`because of ${status}`);
    expect(facts.message).not.toContain("sk-secret");
    expect(on.fake.requests()).toHaveLength(1);
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
      on.fake.setScript([reply, text("second")]);
      const facts = await failureOfCall(gather(on.model({ maxRetries: 5 }), requestOf("hi")));
      expect(facts.reason).toBe(ErrorReason.MODEL_UNAVAILABLE);
      expect(facts.metadata.retry).toBeUndefined();
      expect(on.fake.requests()).toHaveLength(1);
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
    on.fake.setScript([apiError(429, { headers })]);
    expect((await failureOfCall(gather(on.model(), requestOf("hi")))).retryAfterMs).toBe(waitMs);
  });

  it(`carries a wait that the API asks for as a date ${verifies("FW3")}`, async () => {
    on.fake.setScript([apiError(503, { headers: { "retry-after": new Date(Date.now() + 60_000).toUTCString() } })]);
    const { retryAfterMs } = await failureOfCall(gather(on.model(), requestOf("hi")));
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
      on.fake.setScript([apiError(status, { headers: { "x-should-retry": word } })]);
      const facts = await failureOfCall(gather(on.model(), requestOf("hi")));
      expect([facts.reason, facts.metadata.retry]).toEqual([reason, retry]);
    },
  );

  it.each([
    ["cut", "cut"],
    ["end", "cut"],
  ] as const)("in mid-answer (%s) comes after the parts and is not retried", async (kind, problem) => {
    on.fake.setScript([
      { kind: "answer", blocks: [{ type: "text", text: "a b c d" }], break: { kind, afterDeltas: 2 } },
    ]);
    const parts: ModelPart[] = [];
    const reading = (async () => {
      for await (const part of on.model({ maxRetries: 3 }).stream(requestOf("hi"))) parts.push(part);
    })();
    const facts = await failureOfCall(reading);
    expect(facts.reason).toBe(ErrorReason.MODEL_UNAVAILABLE);
    expect(facts.metadata.problem).toBe(problem);
    expect(parts.filter((part) => part.kind === "text")).toHaveLength(2);
    expect(on.fake.requests()).toHaveLength(1);
  });

  it("as an error event in mid-answer is that error", async () => {
    const broken = { kind: "error", afterDeltas: 1, type: "overloaded_error", message: "Overloaded" } as const;
    on.fake.setScript([{ kind: "answer", blocks: [{ type: "text", text: "a b c" }], break: broken }]);
    const facts = await failureOfCall(gather(on.model(), requestOf("hi")));
    expect(facts.reason).toBe(ErrorReason.MODEL_UNAVAILABLE);
    expect(facts.metadata).toMatchObject({ status: "529", problem: "overloaded_error" });
  });

  it("to reach the API says where to look", async () => {
    await on.fake.close();
    const facts = await failureOfCall(gather(on.model(), requestOf("hi")));
    expect(facts.metadata.problem).toBe("unreachable");
    expect(facts.message).toContain("ANTHROPIC_BASE_URL");
  });

  it("for want of time is a failure of its own, also in mid-answer", async () => {
    const stall = { kind: "stall", afterDeltas: 1 } as const;
    on.fake.setScript([{ kind: "answer", blocks: [{ type: "text", text: "a b" }], break: stall }]);
    const facts = await failureOfCall(gather(on.model({ timeoutMs: 300 }), requestOf("hi")));
    expect(facts.metadata.problem).toBe("timeout");
  });

  it("for want of a key says how to get one and asks nobody", async () => {
    const keyless = on.model({ apiKey: "" });
    const facts = await failureOfCall(gather(keyless, requestOf("hi")));
    expect(facts.reason).toBe(ErrorReason.MODEL_REFUSED);
    expect(facts.message).toContain("ANTHROPIC_API_KEY");
    expect(keyless.problem).toContain("ANTHROPIC_API_KEY");
    expect(on.fake.requests()).toHaveLength(0);
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
      on.fake.setScript([reply]);
      const stop = new AbortController();
      const reason = new Error("stopped by a person");
      const reading = gather(on.model({ maxRetries: 3 }), requestOf("hi", { signal: stop.signal }));
      const outcome = expect(reading).rejects.toBe(reason);
      await expect.poll(() => on.fake.requests().length).toBe(1);
      stop.abort(reason);
      await outcome;
      await expect.poll(() => on.fake.requests()[0]?.outcome).toBeDefined();
    },
  );

  it("that is aborted already asks nobody", async () => {
    const signal = AbortSignal.abort(new Error("too late"));
    await expect(gather(on.model(), requestOf("hi", { signal }))).rejects.toThrow("too late");
    expect(on.fake.requests()).toHaveLength(0);
  });
});
