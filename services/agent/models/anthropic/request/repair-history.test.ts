import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../../../test/requirements.ts";
import { makePng } from "../../../../../test/support/fake-anthropic/requests/pictures.ts";
import { validateRequest } from "../../../../../test/support/fake-anthropic/requests/validate-request.ts";
import { assistant, call, requestOf, result, tool, user } from "../../collect-parts.fixture.ts";
import type { ModelBlock, ModelMessage } from "../../model.ts";
import { missingResultText, repairHistory } from "./repair-history.ts";
import { prepareRequest } from "./request-body.ts";

describe("repairHistory", () => {
  it("leaves a sound conversation as it is", () => {
    const sound = [user("a"), assistant("b", call("1", "s.t")), user(result("1", "r"), "c"), assistant("d"), user("e")];
    expect(repairHistory(sound)).toEqual(sound);
  });

  it("answers a call that nobody answered", () => {
    const repaired = repairHistory([user("a"), assistant(call("1", "s.t"), call("2", "s.t")), user(result("2", "r"))]);
    expect(repaired.at(-1)).toEqual(user(result("1", missingResultText, true), result("2", "r")));
  });

  it("answers a call at the very end", () => {
    const repaired = repairHistory([user("a"), assistant(call("1", "s.t"))]);
    expect(repaired.at(-1)).toEqual(user(result("1", missingResultText, true)));
  });

  it("puts results first and turns one without a call into text", () => {
    const repaired = repairHistory([
      user("a"),
      assistant(call("1", "s.t")),
      user("b", result("1", "r"), result("9", "lost")),
    ]);
    expect(repaired.at(-1)).toEqual(user(result("1", "r"), "b", "Result of an earlier tool call:", "lost"));
  });

  it(`puts the pictures of a failed result behind the results ${verifies("FA2")}`, () => {
    const image: ModelBlock = { type: "image", mediaType: "image/png", bytes: picture };
    const failed: ModelBlock = {
      type: "tool_result",
      callId: "1",
      isError: true,
      content: [{ type: "text", text: "no" }, image],
    };
    const asked = [user("a"), assistant(call("1", "s.t"), call("2", "s.t"))];
    const repaired = repairHistory([...asked, user(failed, failedWithPicture("2"), "and?")]);
    expect(repaired.at(-1)).toEqual(
      user(
        result("1", "no", true),
        result("2", "(The picture of this answer stands behind the results.)", true),
        image,
        image,
        "and?",
      ),
    );
  });

  it.each([
    ["a text", user("a \ud83d b"), user("a \ufffd b")],
    ["a result", user(result("1", "\udc00", false)), user(result("1", "\ufffd"))],
    ["a pair that is whole, and an escape that is a text", user("\u{1f600} \\ud800"), user("\u{1f600} \\ud800")],
  ])("mends half a surrogate pair in %s", (_what, given, mended) => {
    expect(
      repairHistory([user("a"), assistant(call("1", "s.t")), given])
        .at(-1)
        ?.content.at(-1),
    ).toEqual(mended.content[0]);
  });

  it("mends half a surrogate pair in arguments, and leaves a text that looks like one", () => {
    const args = { "k\ud83d": ["\udc00", "\\ud800", { deep: "\u{1f600}" }] };
    const [, answer] = repairHistory([user("a"), assistant(call("1", "s.t", args))]);
    expect(answer).toEqual(assistant(call("1", "s.t", { "k\ufffd": ["\ufffd", "\\ud800", { deep: "\u{1f600}" }] })));
  });

  it("keeps one call of each id", () => {
    const twice = [user("a"), assistant(call("1", "s.t")), user(result("1", "r")), assistant("x", call("1", "s.t"))];
    const calls = repairHistory(twice).flatMap((message) =>
      message.content.filter((block) => block.type === "tool_use"),
    );
    expect(calls).toHaveLength(1);
  });
});

const picture = makePng(2, 2);

function failedWithPicture(callId: string): ModelBlock {
  return {
    type: "tool_result",
    callId,
    isError: true,
    content: [{ type: "image", mediaType: "image/png", bytes: picture }],
  };
}

/** Any order of any blocks in any roles, as no loop would ever write them. */
const block: fc.Arbitrary<ModelBlock | string> = fc.oneof(
  fc.constantFrom("words", "", " \n"),
  fc.constantFrom("1", "2", "3").map((id) => call(id, "s.t")),
  fc.constantFrom("1", "2", "3").map((id) => result(id, "r")),
  fc.constant(result("1", "")),
  fc.constant<ModelBlock>({ type: "thinking", text: "", signature: new Uint8Array([65]), redacted: true }),
  fc.constant<ModelBlock>({ type: "thinking", text: "unsigned", signature: new Uint8Array(), redacted: false }),
  fc.constant<ModelBlock>({ type: "image", mediaType: "image/png", bytes: picture }),
  fc.constantFrom("1", "2").map((id): ModelBlock => failedWithPicture(id)),
  fc.constantFrom("half \ud83d", "\udc00"),
  fc.constantFrom("1", "2", "3").map((id) => call(id, "s.t", { "a\ud800": ["\udc00 \\"] })),
  fc.constant(result("1", "half \ud83d")),
);
const message: fc.Arbitrary<ModelMessage> = fc
  .tuple(fc.boolean(), fc.array(block, { maxLength: 4 }))
  .map(([fromUser, blocks]) => (fromUser ? user(...blocks) : assistant(...blocks)));

it("makes every conversation one that the API takes", () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 8 }),
      fc.boolean(),
      fc.constantFrom(0, 2000),
      (messages, listed, thinkingTokens) => {
        const request = requestOf(messages, {
          tools: listed ? [tool("s.t")] : [],
          instructions: "Be kind.",
          thinkingTokens,
        });
        const thinking = new Set(["enabled", "disabled"] as const);
        const abilities = { thinking, contextTokens: 0, maxTokens: 64_000 };
        const { body } = prepareRequest(request, { abilities, sendThinking: true });
        expect(validateRequest(JSON.parse(JSON.stringify(body)))).toBeUndefined();
      },
    ),
    { numRuns: 500 },
  );
});
