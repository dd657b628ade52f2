import { toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { ToolResultSchema } from "../../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { verifies } from "../../../../test/requirements.ts";
import { systemClock } from "../../../kernel/clock.ts";
import { gif, jpeg, otherPictures, png, webp } from "../../../kernel/content/pictures.fixture.ts";
import { createLog } from "../../../kernel/log.ts";
import { openBlobStore } from "../../../kernel/store/open-blob-store.ts";
import { boundAnswer } from "../../calls/bound-answer.ts";
import { answeredResult } from "../../calls/tool-result.ts";
import { scope, temporaryFolder } from "../../toolrouter.fixture.ts";
import { readAnswer } from "./read-answer.ts";
import { readContent } from "./read-content.ts";

const textsOf = (content: unknown) =>
  readContent(content).map((each) => ("text" in each ? each.text : `<${each.kind}>`));

describe(`content of any shape ${verifies("FA7", "F1")}`, () => {
  test.each<[unknown, string[]]>([
    [[{ type: "video", data: "abc" }], ['(a block of type "video" that can\'t be shown, 29 bytes)']],
    [[{ type: "text" }], ['(a block of type "text" without text)']],
    [[{ type: "text", text: null }], ['(a block of type "text" without text)']],
    [[{ type: "text", text: 5 }], ["5"]],
    [[{ type: "text", text: { a: [1] } }], ['{"a":[1]}']],
    [[{ text: "no type" }], ["no type"]],
    [[{ type: "markdown", text: "# Hi" }], ['(a block of type "markdown")', "# Hi"]],
    [[{}], ['(a block of type "" that can\'t be shown, 2 bytes)']],
    [
      [null, 7, [], "words"],
      ["(a block that is null)", "(a block that is 7)", "(a block that is a list, 2 bytes)", "words"],
    ],
    ["words", ["words"]],
    [{ type: "text", text: "one block" }, ["one block"]],
    [7, ["(a block that is 7)"]],
    [null, []],
    [undefined, []],
    [[{ type: "image" }], ['(a block of type "image" without data)']],
    [
      [{ type: "image", data: "%%%", mimeType: "image/png" }],
      [`(a block of type "image" that can't be shown: its 3 bytes are not base64)`],
    ],
    [[{ type: "audio", data: 5 }], ['(a block of type "audio" without data)']],
    [[{ type: "image", data: "aGk=" }], ["<image>"]],
    [[{ type: "image", source: { type: "base64", media_type: "image/png", data: "aGk=" } }], ["<image>"]],
    [[{ type: "image", data: "data:image/png;base64,aGk=" }], ["<image>"]],
    [[{ data: "aGk=", mimeType: "image/png" }], ["<image>"]],
    [[{ type: "resource" }], ['(a block of type "resource" without a resource)']],
    [[{ type: "resource", resource: { text: "no uri" } }], ["no uri"]],
    [[{ type: "resource", resource: { uri: "u" } }], ["(a resource u without text and without bytes)"]],
    [[{ type: "resource", resource: { uri: "u", blob: "?" } }], ["(a resource u whose 1 byte are not base64)"]],
    [[{ type: "resource", resource: { blob: "aGk=" } }], ["<resource-bytes>"]],
    [[{ type: "resource_link", uri: "u" }], ["<resource-link>"]],
    [[{ type: "resource_link", name: "n" }], ["<resource-link>"]],
    [[{ type: "resource_link" }], ["(a link to a resource without an address)"]],
  ])("is read as far as it can be: %j", (content, texts) => {
    expect(textsOf(content)).toEqual(texts);
  });

  test.each<[object, object]>([
    [{ content: [], isError: "true" }, { isError: true }],
    [{ content: [], isError: 0 }, { isError: false }],
    [{ content: [], isError: null }, { isError: false }],
    [{ content: [], isError: "yes" }, { isError: false }],
    [{ structuredContent: null }, { structured: undefined, content: [] }],
    [{ structuredContent: [1] }, { structured: [1] }],
  ])("and so is what stands beside it: %j", (result, answer) => {
    expect(readAnswer(result as never)).toMatchObject(answer);
  });

  it("is read also when a block is nested without end", () => {
    const json = `{"content":[{"type":"text","text":"before"},{"type":"x","y":${"[".repeat(100_000)}${"]".repeat(100_000)}}]}`;
    const answer = readAnswer(JSON.parse(json) as never);
    expect(answer.content).toMatchObject([{ text: "before" }, { kind: "note" }]);
  });
});

const base64 = fc
  .constantFrom<Buffer>(png(), jpeg(), gif(), webp("VP8X"), ...Object.values(otherPictures), png(9_000, 9_000))
  .chain((whole) => fc.nat(whole.length * 2).map((length) => whole.subarray(0, length).toString("base64")));
const odd = fc.oneof(
  fc.constantFrom(undefined, null, 0, true, "", "x"),
  fc.string({ unit: "binary" }),
  base64,
  fc.jsonValue({ maxDepth: 3 }),
);
const field = <T>(right: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary: right as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: odd });
const type = field(fc.constantFrom("text", "image", "audio", "resource", "resource_link", "video"));
const mimeType = field(fc.constantFrom("image/png", "text/plain", "application/json", "audio/wav", "x".repeat(1_000)));
const block = field(
  fc.record(
    {
      type,
      text: field(
        fc.oneof(
          { weight: 20, arbitrary: fc.string({ unit: "binary" }) },
          { weight: 1, arbitrary: fc.nat(200_000).map((length) => "é".repeat(length)) },
        ),
      ),
      data: field(base64),
      mimeType,
      resource: field(fc.record({ uri: odd, text: odd, blob: field(base64), mimeType }, { requiredKeys: [] })),
      uri: odd,
      name: odd,
    },
    { requiredKeys: [] },
  ),
);
const content = field(
  fc.oneof(
    { weight: 20, arbitrary: fc.array(block, { maxLength: 12 }) },
    { weight: 1, arbitrary: fc.array(block, { minLength: 250, maxLength: 400 }) },
  ),
);
const result = fc.record({ content, structuredContent: odd, isError: odd }, { requiredKeys: [] });

describe(`answers that nobody would write ${verifies("FA7", "F1")}`, () => {
  it("name or show every block, and what is made of them fits a message", async () => {
    const blobs = await openBlobStore(temporaryFolder(), () => systemClock.nowMs());
    const log = createLog({ level: "silent", format: "json" });
    await fc.assert(
      fc.asyncProperty(result, async (answered) => {
        const sent = JSON.parse(JSON.stringify(answered)) as { content?: unknown };
        const answer = readAnswer(sent as never);
        const blocks = Array.isArray(sent.content) ? sent.content.length : 0;
        expect(answer.content.length).toBeGreaterThanOrEqual(blocks);
        const bounded = await boundAnswer(answer, scope, blobs, log);
        expect(bounded.content.length).toBeLessThanOrEqual(256);
        if (!bounded.truncated) expect(bounded.content.length).toBeGreaterThanOrEqual(blocks);
        const ended = { callId: "c1", tool: "a.b", server: "a", durationMs: 1 };
        const bytes = toBinary(ToolResultSchema, answeredResult(ended, answer.isError, bounded));
        expect(bytes.length).toBeLessThan(4_194_304 - 65_536);
      }),
      { numRuns: 300 },
    );
  }, 120_000);
});
