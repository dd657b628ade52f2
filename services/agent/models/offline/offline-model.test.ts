import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../../kernel/clock.ts";
import { ErrorReason, failedWith } from "../../../kernel/errors.ts";
import { assistant, call, gather, readParts, requestOf, result, tool, user } from "../collect-parts.fixture.ts";
import type { ModelPart } from "../model.ts";
import { createOfflineModel, words } from "./offline-model.ts";

const model = createOfflineModel({ tokenDelayMs: 0 }, { clock: systemClock });
const path = { path: { type: "string" } };
const tools = [
  tool("filesystem.list_directory", path, ["path"], "Lists a directory"),
  tool("filesystem.read_text_file", path, ["path"], "Reads a file"),
];
const question = "which files are in the workspace, and what does notes.md say?";

describe("the offline model", () => {
  it("lists and reads in one step, then answers from the results", async () => {
    const first = await gather(model, requestOf(question, { tools }));
    expect(first.stop).toBe("tool_use");
    expect(first.calls.map(({ tool: name, arguments: args }) => [name, args])).toEqual([
      ["filesystem.list_directory", { path: "." }],
      ["filesystem.read_text_file", { path: "notes.md" }],
    ]);
    const results = first.calls.map(({ callId }, index) =>
      result(callId, index === 0 ? "[FILE] notes.md\n[DIR] plans" : "Buy milk.\nCall Ada."),
    );
    const asked = assistant(first.text, ...first.calls.map((each) => call(each.callId, each.tool, each.arguments)));
    const second = await gather(model, requestOf([user(question), asked, user(...results)], { tools }));
    expect(second.stop).toBe("end");
    expect(second.calls).toEqual([]);
    for (const said of ["notes.md and plans/", "Buy milk.\nCall Ada.", "scripted model", "ANTHROPIC_API_KEY"]) {
      expect(second.text).toContain(said);
    }
  });

  it("answers a new question after a finished turn with new calls", async () => {
    const history = [
      user(question),
      assistant(call("1", "filesystem.list_directory")),
      user(result("1", "[FILE] a")),
      assistant("There."),
    ];
    const next = await gather(model, requestOf([...history, user("read b.txt")], { tools }));
    expect(next.calls.map((each) => each.arguments)).toEqual([{ path: "b.txt" }]);
  });

  it("takes the steps of /then one by one", async () => {
    const words = '/call a.b {"n": 1}\n/call a.c\n/then a.d';
    const first = await gather(model, requestOf(words));
    expect(first.calls.map((each) => each.tool)).toEqual(["a.b", "a.c"]);
    const done = [user(words), assistant(call("1", "a.b"), call("2", "a.c")), user(result("1", "x"), result("2", "y"))];
    const second = await gather(model, requestOf(done));
    expect(second.calls.map((each) => each.tool)).toEqual(["a.d"]);
    const third = await gather(
      model,
      requestOf([...done, assistant(call("3", "a.d")), user(result("3", "no luck", true))]),
    );
    expect(third.text).toContain("a.d failed: no luck");
  });

  it("gives calls ids that differ between calls, steps and runs, and are the same for the same request", async () => {
    const ids = async (traceId: string) =>
      (await gather(model, requestOf("/call a.b\n/call a.b", { traceId }))).calls.map((each) => each.callId);
    const [one, again, other] = [await ids("1"), await ids("1"), await ids("2")];
    expect(again).toEqual(one);
    expect(new Set([...one, ...other]).size).toBe(4);
  });

  it.each([
    ["hello", "scripted model"],
    ["repeat after me: ünï 🎈 words", "ünï 🎈 words"],
    ["count to 3", "1 2 3"],
    ["/help", "filesystem.read_text_file"],
    ["why is the sky blue?", "No listed tool fits"],
    ["/nonsense", "I know no command /nonsense"],
  ])("answers %j with %j", async (asked, said) => {
    const { text, stop } = await gather(model, requestOf(asked, { tools }));
    expect(text).toContain(said);
    expect(stop).toBe("end");
  });

  it("shows reasoning when asked for, by budget or by /think", async () => {
    expect((await gather(model, requestOf("hello"))).thinking).toBe("");
    expect((await gather(model, requestOf("hello", { thinkingTokens: 10 }))).thinking).not.toBe("");
    expect((await gather(model, requestOf("/think cats"))).thinking).toContain("cats");
  });

  it("keeps the order of parts that the port promises", async () => {
    const { parts } = await gather(model, requestOf("/call a.b\n/call a.c", { thinkingTokens: 1, tools }));
    let open: number | undefined;
    let next = 0;
    for (const part of parts) {
      if (part.kind === "block-start") {
        expect([open, part.index]).toEqual([undefined, next++]);
        open = part.index;
      } else if ("index" in part) {
        expect(part.index).toBe(open);
        if (part.kind === "block-stop") open = undefined;
      }
    }
    expect(parts.slice(-2).map((part) => part.kind)).toEqual(["usage", "stop"]);
  });

  it("writes as many words as /long asks for, within the output bound", async () => {
    const long = await gather(model, requestOf("/long 300"));
    expect(long.text.split(" ")).toHaveLength(300);
    const short = await gather(model, requestOf("/long 300", { maxOutputTokens: 10 }));
    expect([short.text.split(" ").length, short.stop]).toEqual([10, "max_tokens"]);
  });

  it.each([
    ["/fail", ErrorReason.MODEL_UNAVAILABLE],
    ["/fail refused", ErrorReason.MODEL_REFUSED],
  ])("fails on %s before the first part", async (asked, reason) => {
    const first = model.stream(requestOf(asked))[Symbol.asyncIterator]().next();
    await expect(first).rejects.toSatisfy((error) => failedWith(error, reason));
  });

  it("fails on /fail midway after some words", async () => {
    const parts: ModelPart[] = [];
    const reading = (async () => {
      for await (const part of model.stream(requestOf("/fail midway"))) parts.push(part);
    })();
    await expect(reading).rejects.toSatisfy((error) => failedWith(error, ErrorReason.MODEL_UNAVAILABLE));
    expect(readParts(parts).text).not.toBe("");
  });

  it.each([0, 5_000])("stops with the signal's reason (delay %i ms)", async (tokenDelayMs) => {
    const slow = createOfflineModel({ tokenDelayMs }, { clock: systemClock });
    const stop = new AbortController();
    const reason = new Error("enough");
    const reading = gather(slow, requestOf("/long 100000", { maxOutputTokens: 100_000, signal: stop.signal }));
    setTimeout(() => stop.abort(reason), 1);
    await expect(reading).rejects.toBe(reason);
  });
});

it("splits any text into words that join to the text again", () => {
  const check = (text: string): void => {
    expect(words(text).join("")).toBe(text);
  };
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), check));
});
