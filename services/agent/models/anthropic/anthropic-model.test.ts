import { describe, expect, it } from "vitest";
import { makePng } from "../../../../test/support/fake-anthropic/requests/pictures.ts";
import { apiError, type FakeBlock, type FakeReply, text } from "../../../../test/support/fake-anthropic/script.ts";
import { assistant, call, gather, requestOf, result, tool, user } from "../collect-parts.fixture.ts";
import type { ModelBlock } from "../model.ts";
import { ModelUnderTest } from "./model-under-test.fixture.ts";
import { missingResultText } from "./request/repair-history.ts";

const on = new ModelUnderTest();

function answer(...blocks: readonly FakeBlock[]): FakeReply {
  return { kind: "answer", blocks };
}

const readFile = tool("filesystem.read_file", { path: { type: "string" } }, ["path"], "Reads a file");

describe("an answer", () => {
  it("streams text word by word, with usage before the stop", async () => {
    on.fake.setScript([text("Hello there, friend.")]);
    const { parts } = await gather(on.model(), requestOf("hi"));
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
    on.fake.setScript([{ kind: "answer", blocks: [{ type: "text", text: "ok" }], usage }]);
    const { parts } = await gather(on.model(), requestOf("hi"));
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
    on.fake.setScript([
      answer(
        { type: "text", text: "Reading." },
        { type: "tool_use", id: "toolu_1", name: "filesystem__read_file", input },
      ),
    ]);
    const gathered = await gather(on.model(), requestOf("read", { tools: [readFile] }));
    expect(gathered.calls).toEqual([{ callId: "toolu_1", tool: "filesystem.read_file", arguments: input }]);
    expect(gathered.stop).toBe("tool_use");
  });

  it("keeps a name that the model made up, and takes a call without arguments", async () => {
    on.fake.setScript([answer({ type: "tool_use", id: "toolu_1", name: "invented", input: {} })]);
    const gathered = await gather(on.model(), requestOf("read", { tools: [readFile] }));
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
    on.fake.setScript([{ kind: "answer", blocks: [{ type: "text", text: "ok" }], stopReason }]);
    expect((await gather(on.model(), requestOf("hi"))).stop).toBe(ours);
  });
});

describe("reasoning", () => {
  it("is streamed with its signature, and the API takes it back", async () => {
    on.fake.setScript([
      answer(
        { type: "thinking", thinking: "Let me look at the file." },
        { type: "redacted_thinking", data: "opaque" },
        { type: "tool_use", id: "toolu_1", name: "filesystem__read_file", input: { path: "a" } },
      ),
      text("done"),
    ]);
    const first = await gather(on.model(), requestOf("read", { tools: [readFile], thinkingTokens: 2048 }));
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
    const second = await gather(on.model(), requestOf(history, { tools: [readFile], thinkingTokens: 2048 }));
    expect(second.text).toBe("done");
    expect(on.lastBody().thinking).toEqual({ type: "enabled", budget_tokens: 2048 });
    expect(on.lastBody().max_tokens).toBe(4096 + 2048);
  });

  it.each([
    ["claude-sonnet-5-5", 2048, { type: "adaptive", display: "summarized" }],
    ["claude-sonnet-5-5", 0, { type: "between_tools" }],
    ["claude-sonnet-5", 0, { type: "disabled" }],
    ["claude-opus-5-5", 0, undefined],
    ["claude-haiku-4-5", 0, undefined],
    ["claude-haiku-4-5", 100, { type: "enabled", budget_tokens: 1024 }],
  ])("%s with %i tokens is asked with %o", async (name, thinkingTokens, thinking) => {
    await gather(on.model(), requestOf("hi", { model: name, thinkingTokens }));
    expect(on.lastBody().thinking).toEqual(thinking);
  });

  it("is left out after the API refused it, and that is logged", async () => {
    on.fake.setScript((body) =>
      JSON.stringify(body.messages).includes("redacted_thinking")
        ? apiError(400, { message: "The block is bound to a different conversation." })
        : text("fine"),
    );
    const signature = new TextEncoder().encode("opaque");
    const old: ModelBlock = { type: "thinking", text: "", signature, redacted: true };
    const gathered = await gather(on.model(), requestOf([user("a"), assistant(old, "b"), user("c")]));
    expect(gathered.text).toBe("fine");
    expect(on.fake.requests()).toHaveLength(2);
    expect(on.lines.join("")).toContain("asking again without it");
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
    const gathered = await gather(on.model(), requestOf(history, { tools: [readFile] }));
    expect(gathered.stop).toBe("end");
    const sent = JSON.stringify(on.lastBody().messages);
    for (const kept of [missingResultText, "text of a", "an orphan", "go on", "I begin.", "bye"])
      expect(sent).toContain(kept);
  });

  it("declares the tools of its history when none may be called", async () => {
    const history = [user("a"), assistant(call("c1", "filesystem.read_file")), user(result("c1", "x"))];
    await gather(on.model(), requestOf(history));
    expect(on.lastBody()).toMatchObject({ tool_choice: { type: "none" }, tools: [{ name: "filesystem__read_file" }] });
  });

  it("puts breakpoints on tools, instructions and the last two messages of the user, tools in order of name", async () => {
    const history = [user("a"), assistant("b"), user("c"), assistant("d"), user("e")];
    await gather(on.model(), requestOf(history, { tools: [readFile, tool("a.b")], instructions: "Be kind." }));
    const body = on.lastBody() as { tools: { name: string }[]; system: unknown; messages: unknown[] };
    expect(body.tools.map((each) => each.name)).toEqual(["a__b", "filesystem__read_file"]);
    const marked = [body.tools[1], body.system, body.messages[2], body.messages[4]];
    expect(marked.map((part) => JSON.stringify(part).includes("ephemeral"))).toEqual([true, true, true, true]);
    expect(JSON.stringify(body).match(/ephemeral/g)).toHaveLength(4);
  });

  it("sends images that the API takes, and says so of others", async () => {
    const bytes = makePng(3, 2);
    const image = (mediaType: string): ModelBlock => ({ type: "image", mediaType, bytes });
    await gather(on.model(), requestOf([user(image("image/png"), image("image/tiff"))]));
    const sent = JSON.stringify(on.lastBody().messages);
    expect(sent).toContain(`"data":"${bytes.toString("base64")}"`);
    expect(sent).toContain("image/tiff can't be shown");
  });

  it("asks for no more tokens than the model has", async () => {
    await gather(on.model(), requestOf("hi", { maxOutputTokens: 1_000_000 }));
    expect(on.lastBody().max_tokens).toBe(64_000);
  });
});
