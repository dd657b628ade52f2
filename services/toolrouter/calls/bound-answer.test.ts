import { toBinary } from "@bufbuild/protobuf";
import { describe, expect, it, test } from "vitest";
import { TextFormat } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { type ToolResult, ToolResultSchema } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { systemClock } from "../../kernel/clock.ts";
import { jpeg, otherPictures, png } from "../../kernel/content/pictures.fixture.ts";
import { maxPictureBytes } from "../../kernel/content/read-picture.ts";
import { createLog } from "../../kernel/log.ts";
import type { BlobStore } from "../../kernel/store/blob-store.ts";
import { openBlobStore } from "../../kernel/store/open-blob-store.ts";
import { StoreUnavailable } from "../../kernel/store/store-errors.ts";
import { readAnswer } from "../mcp/messages/read-answer.ts";
import { scope, temporaryFolder } from "../toolrouter.fixture.ts";
import { boundAnswer, maxAnswerBytes } from "./bound-answer.ts";
import { answeredResult } from "./tool-result.ts";

const log = createLog({ level: "silent", format: "json" });
const ended = { callId: "c1", tool: "a.b", server: "a", durationMs: 1 };

async function bound(result: object, blobs?: BlobStore) {
  const store = blobs ?? (await openBlobStore(temporaryFolder(), () => systemClock.nowMs()));
  const bounded = await boundAnswer(readAnswer(result as never), scope, store, log);
  const last = bounded.content.at(-1)?.block;
  const source = last?.case === "file" ? last.value.media?.source : undefined;
  const whole = source?.case === "blob" ? await store.get(scope, source.value.sha256) : undefined;
  const toolResult: ToolResult = answeredResult(ended, false, bounded);
  return {
    ...bounded,
    whole: whole === undefined ? undefined : Buffer.from(whole).toString("utf8"),
    kinds: bounded.content.map(({ block }) => block.case),
    texts: bounded.content.map(({ block }) => (block.case === "text" ? block.value.text : `<${block.case}>`)),
    bytes: toBinary(ToolResultSchema, toolResult).length,
    store,
  };
}

const text = (value: string) => ({ type: "text", text: value });
const image = (bytes: Buffer, mimeType = "image/png") => ({ type: "image", data: bytes.toString("base64"), mimeType });
const blob = (bytes: Buffer, mimeType?: string, uri = "file:///a/b") => ({
  type: "resource",
  resource: { uri, ...(mimeType === undefined ? {} : { mimeType }), blob: bytes.toString("base64") },
});

describe("an answer", () => {
  it("at the bound stays as it is", async () => {
    const { content, truncated } = await bound({ content: [text("a".repeat(maxAnswerBytes))] });
    expect(truncated).toBe(false);
    expect(content).toHaveLength(1);
  });

  it("one byte over the bound is cut and kept whole", async () => {
    const long = "a".repeat(maxAnswerBytes + 1);
    const { content, truncated, whole } = await bound({ content: [text(long)] });
    expect(truncated).toBe(true);
    expect(content[0]?.block.value).toMatchObject({ text: long.slice(1) });
    expect(whole).toBe(long);
  });

  it("of several parts is kept whole as JSON, bytes in base64", async () => {
    const bytes = png(2, 2, 1_000);
    const long = "b".repeat(maxAnswerBytes + 1);
    const { kinds, structuredJson, whole } = await bound({
      content: [text("see"), image(bytes), text(long)],
      structuredContent: { a: "b" },
    });
    expect(kinds).toEqual(["text", "image", "text", "file"]);
    expect(JSON.parse(structuredJson)).toEqual({ a: "b" });
    const kept = JSON.parse(whole ?? "") as { content: { bytes?: string }[]; structured: unknown };
    expect(Buffer.from(kept.content[1]?.bytes ?? "", "base64")).toEqual(bytes);
    expect(kept.structured).toEqual({ a: "b" });
  });

  it("whose object no reader could take keeps it in the blob", async () => {
    let deep: object = { end: "found" };
    for (let depth = 0; depth < 200; depth++) deep = { deep };
    for (const structuredContent of [deep, { n: Number.POSITIVE_INFINITY }]) {
      const bounded = await bound({ content: [text("short")], structuredContent });
      expect(bounded).toMatchObject({ structuredJson: "", truncated: true });
      expect(bounded.content[0]?.block.value).toMatchObject({ text: "short" });
      expect(bounded.whole).toContain('"structured":');
    }
  });

  it(`of very many parts is cut to 256 blocks, and says how many are left out ${verifies("F1")}`, async () => {
    const content = Array.from({ length: 1000 }, (_, i) => text(`${i}`));
    const bounded = await bound({ content });
    expect(bounded.content).toHaveLength(256);
    expect(bounded.texts.at(-2)).toBe("(746 more blocks are left out here)");
    expect(bounded.truncated).toBe(true);
    expect(bounded.whole).toContain("999");
    expect((await bound({ content: content.slice(0, 256) })).content).toHaveLength(256);
  });
});

describe(`an answer that is an object ${verifies("FA1")}`, () => {
  const structuredContent = { sum: 5, of: [2, 3] };
  const json = JSON.stringify(structuredContent);

  test.each<[string, object]>([
    ["empty content", { content: [], structuredContent }],
    ["no content", { structuredContent }],
    ["content that is null", { content: null, structuredContent }],
    ["blank text", { content: [text("  \n")], structuredContent }],
    ["an empty resource", { content: [{ type: "resource", resource: { uri: "a", text: "" } }], structuredContent }],
    ["a picture alone", { content: [image(png())], structuredContent }],
    ["`toolResult`, as servers of 2024 answered", { toolResult: structuredContent }],
  ])("is told as JSON text: %s", async (_case, result) => {
    const { content, structuredJson, truncated } = await bound(result);
    expect(content.at(-1)?.block.value).toMatchObject({ text: json, format: TextFormat.JSON });
    expect(JSON.parse(structuredJson)).toEqual(structuredContent);
    expect(truncated).toBe(false);
  });

  test.each([json, JSON.stringify(structuredContent, undefined, 2), "5"])(
    "is not told twice when the content says it: %j",
    async (said) => {
      const { texts, structuredJson } = await bound({ content: [text(said)], structuredContent });
      expect(texts).toEqual([said]);
      expect(JSON.parse(structuredJson)).toEqual(structuredContent);
    },
  );

  test.each([[["a", 1]], ["words"], [7], [false]])("or any other JSON: %j", async (other) => {
    const { texts, structuredJson } = await bound({ content: [], structuredContent: other });
    expect(texts).toEqual([JSON.stringify(other)]);
    expect(structuredJson).toBe("");
  });

  it("and is too large is cut as text is", async () => {
    const large = { rows: Array.from({ length: 100_000 }, (_, row) => row) };
    const { truncated, structuredJson, whole, content } = await bound({ content: [], structuredContent: large });
    expect(truncated).toBe(true);
    expect(structuredJson).toBe("");
    expect(content[0]?.block.value).toMatchObject({ text: JSON.stringify(large).slice(0, maxAnswerBytes) });
    expect(JSON.parse(whole ?? "")).toMatchObject({ structured: large });
  });
});

describe(`media of an answer ${verifies("FA3", "FA5")}`, () => {
  test.each<[Buffer, string, string]>([
    [jpeg(), "image/png", "image/jpeg"],
    [png(), "image/jpeg", "image/png"],
    [png(), "", "image/png"],
    [png(), "application/octet-stream", "image/png"],
    [png(), "audio/wav", "image/png"],
    [otherPictures["image/heic"] ?? png(), "image/png", "image/heic"],
  ])("have the type of their bytes: %#", async (bytes, called, mediaType) => {
    const { content, truncated } = await bound({ content: [image(bytes, called)] });
    expect(content[0]?.block).toMatchObject({ case: "image", value: { media: { mediaType } } });
    expect(truncated).toBe(false);
  });

  it("tell their size", async () => {
    const { content } = await bound({ content: [image(png(300, 200))] });
    expect(content[0]?.block.value).toMatchObject({ widthPx: 300, heightPx: 200 });
  });

  test.each<[object, RegExp]>([
    [image(Buffer.alloc(0)), /^\(a picture of type image\/png that can't be shown: it is empty\)$/],
    [image(Buffer.from("x")), /its 1 byte are nothing that is known/],
    [image(Buffer.from("<html>404</html>"), "image/jpeg"), /a picture of type image\/jpeg that can't be shown/],
    [{ type: "audio", data: "", mimeType: "audio/wav" }, /sound of type audio\/wav .* it is empty/],
  ])("are a sentence in their place when they are none: %#", async (block, sentence) => {
    const { texts } = await bound({ content: [text("before"), block, text("behind")] });
    expect(texts).toEqual(["before", expect.stringMatching(sentence), "behind"]);
  });

  test.each([300_000, 1_000_000, 3_600_000])("travel when they are a picture of %d bytes", async (padding) => {
    const { kinds, truncated, bytes } = await bound({
      content: [image(png(2, 2, padding)), text("c".repeat(maxAnswerBytes))],
    });
    expect(kinds).toEqual(["image", "text"]);
    expect(truncated).toBe(false);
    expect(bytes).toBeLessThan(4_194_304 - 65_536);
  });

  it("are blobs where they do not fit one message, and nothing else is cut for it", async () => {
    const large = png(300, 200, 2_100_000);
    const { content, store, truncated, bytes } = await bound({
      content: [image(large), text("between"), image(large), image(png(2, 2, maxPictureBytes)), image(png())],
    });
    const sources = content.map(({ block }) => (block.case === "image" ? block.value.media?.source.case : block.case));
    expect(sources).toEqual(["inline", "text", "blob", "blob", "inline"]);
    expect(truncated).toBe(false);
    expect(bytes).toBeLessThan(4_194_304 - 65_536);
    const apart = content[2]?.block;
    const source = apart?.case === "image" ? apart.value.media?.source : undefined;
    if (source?.case !== "blob") throw new Error("expected a blob");
    expect(Buffer.from((await store.get(scope, source.value.sha256)) ?? [])).toEqual(large);
    expect(apart?.value).toMatchObject({ widthPx: 300, media: { mediaType: "image/png", size: BigInt(large.length) } });
  });

  it("that are no pictures have the smaller bound", async () => {
    const wav = Buffer.concat([Buffer.from("RIFF\0\0\0\0WAVEfmt "), Buffer.alloc(maxAnswerBytes)]);
    const audio = { type: "audio", data: wav.toString("base64"), mimeType: "audio/mpeg" };
    const { content } = await bound({ content: [audio] });
    expect(content[0]?.block).toMatchObject({
      case: "audio",
      value: { media: { mediaType: "audio/wav", source: { case: "blob" } } },
    });
  });

  it("are named when they can't be kept", async () => {
    const full: BlobStore = {
      put: async () => {
        throw new StoreUnavailable("disk-full");
      },
      get: async () => undefined,
    };
    const { texts, truncated } = await bound(
      { content: [image(png(2, 2, maxPictureBytes)), text("x".repeat(300_000))] },
      full,
    );
    expect(texts[0]).toMatch(/^\(media of type image\/png, 3 7.* bytes, that could not be kept\)$/);
    expect(texts[2]).toBe("(the rest of the answer could not be kept)");
    expect(truncated).toBe(true);
  });
});

describe(`an embedded resource that comes as bytes ${verifies("FA9")}`, () => {
  test.each<[string, Buffer, string | undefined, string]>([
    ["Markdown", Buffer.from("# Note"), "text/markdown", "# Note"],
    ["JSON", Buffer.from('{"a":1}'), "application/json", '{"a":1}'],
    ["a table without a type", Buffer.from("a,b\n1,2\n"), undefined, "a,b\n1,2\n"],
    ["YAML called a stream of bytes", Buffer.from("a: ü"), "application/octet-stream", "a: ü"],
    ["an SVG", otherPictures["image/svg+xml"] ?? png(), "image/svg+xml", String(otherPictures["image/svg+xml"])],
  ])("is text where it is text: %s", async (_case, bytes, mimeType, shown) => {
    const { texts, kinds } = await bound({ content: [blob(bytes, mimeType)] });
    expect(kinds).toEqual(["text", "text"]);
    expect(texts).toEqual(["Resource file:///a/b:", shown]);
  });

  it.each([undefined, "image/png", "application/octet-stream", "text/plain"])(
    "is a picture where it is a picture, called %s",
    async (mimeType) => {
      const { content } = await bound({ content: [blob(jpeg(), mimeType, "file:///a/photo.jpg")] });
      expect(content.map(({ block }) => block.case)).toEqual(["text", "image"]);
      expect(content[1]?.block.value).toMatchObject({ media: { mediaType: "image/jpeg", fileName: "photo.jpg" } });
    },
  );

  it("is a file with its right type otherwise", async () => {
    const { content } = await bound({
      content: [blob(Buffer.from("%PDF-1.7\n\x01"), undefined, "file:///a/c.pdf"), blob(Buffer.from([0, 1, 2]), "x/y")],
    });
    expect(content.map(({ block }) => block.value)).toMatchObject([
      { media: { mediaType: "application/pdf", fileName: "c.pdf" } },
      { media: { mediaType: "x/y", fileName: "b" } },
    ]);
  });

  it("has text and bytes: both are shown, once each", async () => {
    const both = (bytes: Buffer) => ({
      content: [{ type: "resource", resource: { uri: "u", text: "words", blob: bytes.toString("base64") } }],
    });
    expect((await bound(both(Buffer.from("words")))).texts).toEqual(["Resource u:", "words"]);
    expect((await bound(both(png()))).texts).toEqual(["Resource u:", "words", "Resource u:", "<image>"]);
  });

  it("is not fetched when it is only an address", async () => {
    const link = { type: "resource_link", uri: `data:image/png;base64,${png().toString("base64")}`, name: "dot" };
    const { texts } = await bound({ content: [link] });
    expect(texts[0]).toMatch(/^Link to dot <data:image\/png/);
  });
});
