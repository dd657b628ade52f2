// Answers of a server over a real pipe and a real socket, through the router: what was answered is never UNKNOWN.
import { describe, expect, it, test } from "vitest";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { sloppyProgram } from "../../../test/support/sloppy-mcp/sloppy-program.ts";
import { startSloppyHttp } from "../../../test/support/sloppy-mcp/start-sloppy-http.ts";
import { jpeg } from "../../kernel/content/pictures.fixture.ts";
import { http, startRouter, stdio } from "../toolrouter.fixture.ts";

const results: readonly [string, unknown, ToolOutcome, readonly string[]][] = [
  [
    "a block of an unknown type",
    { content: [{ type: "video", data: "abc" }] },
    ToolOutcome.SUCCEEDED,
    ['(a block of type "video" that can\'t be shown, 29 bytes)'],
  ],
  [
    "a text block without text",
    { content: [{ type: "text" }, { type: "text", text: "read" }] },
    ToolOutcome.SUCCEEDED,
    ['(a block of type "text" without text)', "read"],
  ],
  ["content that is null", { content: null }, ToolOutcome.SUCCEEDED, []],
  ["content that is an object", { content: { type: "text", text: "one" } }, ToolOutcome.SUCCEEDED, ["one"]],
  ["content that is a string", { content: "words" }, ToolOutcome.SUCCEEDED, ["words"]],
  ["no content", { structuredContent: { a: 1 } }, ToolOutcome.SUCCEEDED, ['{"a":1}']],
  ["structured content of a wrong type", { content: [], structuredContent: ["a"] }, ToolOutcome.SUCCEEDED, ['["a"]']],
  ["isError of a wrong type", { content: "went wrong", isError: "true" }, ToolOutcome.FAILED, ["went wrong"]],
  ["isError that is null", { content: "fine", isError: null }, ToolOutcome.SUCCEEDED, ["fine"]],
  [
    "a picture without a type",
    { content: [{ type: "image", data: jpeg().toString("base64") }] },
    ToolOutcome.SUCCEEDED,
    ["<image/jpeg>"],
  ],
  ["an empty object", {}, ToolOutcome.SUCCEEDED, []],
];

describe(`what a server answers is its outcome, whatever its shape ${verifies("FA7", "F1", "F3")}`, () => {
  async function answers(server: ReturnType<typeof stdio>) {
    const router = await startRouter({ sloppy: server });
    const told: unknown[] = [];
    for (const [index] of results.entries()) {
      const { result } = await router.client.invokeTool({ call: { callId: `c${index}`, tool: "sloppy.work" } });
      const shown = result?.content.map(({ block }) => {
        if (block.case === "text") return block.value.text;
        return block.case === "image" ? `<${block.value.media?.mediaType}>` : block.case;
      });
      told.push([results[index]?.[0], result?.outcome, shown]);
    }
    return told;
  }
  const script = { "tools/call": results.map(([, result]) => [{ result }]) };
  const expected = results.map(([name, , outcome, shown]) => [name, outcome, shown]);

  it("over a pipe", async () => {
    const { command, args, requests } = sloppyProgram(script);
    expect(await answers(stdio(command, args))).toEqual(expected);
    // It was started once and called once a call.
    expect(requests().filter(({ method }) => method === "tools/call")).toHaveLength(results.length);
    expect(requests().filter(({ method }) => method === "initialize")).toHaveLength(1);
  });

  test("over HTTP", async () => {
    const { url } = await startSloppyHttp(script);
    expect(await answers(http(url))).toEqual(expected);
  });
});
