import { create, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it, onTestFinished, test } from "vitest";
import { ContentBlockSchema, type MediaSourceSchema } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { ToolCallFinishedSchema, ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { startFakeAnthropic } from "../../../test/support/fake-anthropic/start-fake-anthropic.ts";
import { systemClock } from "../../kernel/clock.ts";
import { gif, jpeg, otherPictures, png, webp } from "../../kernel/content/pictures.fixture.ts";
import { maxPictureBytes } from "../../kernel/content/read-picture.ts";
import { createLog } from "../../kernel/log.ts";
import type { ConversationRun } from "../memory/conversation.ts";
import { forgetOldMedia } from "../memory/forget-media.ts";
import { createAnthropicModel } from "../models/anthropic/anthropic-model.ts";
import { gather, requestOf } from "../models/collect-parts.fixture.ts";
import type { ModelBlock, ModelMessage } from "../models/model.ts";
import { fitPictures, maxAllPictureBytes } from "./fit-pictures.ts";
import { toModelMessages } from "./model-messages.ts";

type BlockInit = NonNullable<MessageInitShape<typeof ContentBlockSchema>["block"]>;

function media(bytes: Uint8Array, mediaType: string, fileName = ""): MessageInitShape<typeof MediaSourceSchema> {
  return { source: { case: "inline", value: bytes }, mediaType, fileName, size: BigInt(bytes.length) };
}
const image = (bytes: Uint8Array, mediaType = "image/png"): BlockInit => ({
  case: "image",
  value: { media: media(bytes, mediaType) },
});
const file = (bytes: Uint8Array, mediaType: string, fileName = "a.x"): BlockInit => ({
  case: "file",
  value: { media: media(bytes, mediaType, fileName) },
});
const words = (text: string): BlockInit => ({ case: "text", value: { text } });

interface Called {
  readonly outcome: ToolOutcome;
  readonly content: readonly BlockInit[];
  readonly truncated?: boolean;
}

/** A run that was asked something and made calls in one step. */
function runOf(asked: readonly BlockInit[], calls: readonly Called[] = []): ConversationRun {
  const contentOf = (blocks: readonly BlockInit[]) => blocks.map((block) => create(ContentBlockSchema, { block }));
  const step = {
    step: 1,
    attempt: 1,
    read: [],
    modelDone: true,
    outputTokens: 1,
    stopReason: "tool_use",
    items: calls.map(({ outcome, content, truncated = false }, index) => {
      const callId = `c${index}`;
      const finished = create(ToolCallFinishedSchema, { callId, outcome, content: contentOf(content), truncated });
      return { kind: "call" as const, callId, tool: "a.b", argumentsJson: "{}", finished };
    }),
  };
  return {
    runId: "r1",
    firstSeq: 0,
    workedMs: 0,
    lastAtMs: 0,
    messages: [contentOf(asked)],
    steps: calls.length > 0 ? [step] : [],
    unread: [],
  };
}

/** Blocks as a reader sees them: texts, `<type>` of pictures, results in brackets. */
function shownIn(blocks: readonly ModelBlock[]): unknown[] {
  return blocks.map((block) => {
    if (block.type === "text") return block.text;
    if (block.type === "image") return `<${block.mediaType}>`;
    return block.type === "tool_result" ? [block.isError, ...shownIn(block.content)] : block.type;
  });
}
const asked = (...blocks: readonly BlockInit[]) =>
  shownIn(toModelMessages({ runs: [runOf(blocks)] }, 100).flatMap(({ content }) => content));
const answered = (...calls: readonly Called[]) =>
  shownIn(toModelMessages({ runs: [runOf([words("go")], calls)] }, 100).at(-1)?.content ?? []);

describe(`what a person sends ${verifies("FA3", "FA4", "F1")}`, () => {
  test.each<[BlockInit, string]>([
    [image(jpeg(), "image/png"), "<image/jpeg>"],
    [image(gif(), ""), "<image/gif>"],
    [image(webp("VP8X"), "image/jpeg"), "<image/webp>"],
    [image(png(), "text/plain"), "<image/png>"],
  ])("is a picture by its bytes: %#", (block, shown) => {
    expect(asked(words("see"), block)).toEqual(["see", shown]);
  });

  test.each<[BlockInit, RegExp]>([
    [image(new Uint8Array()), /^\(image\/png: a picture that can't be shown: it is empty\)$/],
    [image(Buffer.from("hi")), /^\(image\/png, 2 bytes: .*: its 2 bytes are no picture of a known kind\)$/],
    [image(png().subarray(0, 20)), /its header is broken or cut short/],
    [image(png(8_001, 5)), /it is 8001 × 5 pixels, and models are shown at most 8000 a side/],
    [
      image(otherPictures["image/avif"] ?? png()),
      /^\(image\/avif, .*models are shown PNG, JPEG, GIF and WebP alone\)$/,
    ],
    [{ case: "image", value: { altText: "a cat" } }, /^\(a picture that can't be shown: it has no bytes; .*a cat\)$/],
    [
      {
        case: "image",
        value: { media: { source: { case: "blob", value: { size: 5_000n } }, size: 5_000n, mediaType: "image/png" } },
      },
      /^\(image\/png, 5 000 bytes: a picture that can't be shown: it did not fit here and is kept apart\)$/,
    ],
    [
      { case: "video", value: { media: media(Buffer.from("x"), "video/mp4", "a.mp4") } },
      /^\(a\.mp4, video\/mp4, 1 byte: /,
    ],
    [{ case: "audio", value: {} }, /^\(sound without a transcript\)$/],
    [{ case: "toolUse", value: {} }, /^\(content of kind toolUse that can't be shown\)$/],
  ])("is a sentence where a model can't be shown it: %#", (block, sentence) => {
    expect(asked(block, words("what is it?"))).toEqual([expect.stringMatching(sentence), "what is it?"]);
  });

  it("is the text of a file that is text, named", () => {
    expect(asked(file(Buffer.from("a,b\n"), "text/csv", "t.csv"))).toEqual([
      "(t.csv, text/csv, 4 bytes: a file, which follows)",
      "a,b\n",
    ]);
    const [, long] = asked(file(Buffer.from("x".repeat(300_000)), "text/plain"));
    expect(String(long)).toMatch(/^x{262144}…\[37856 bytes cut\]$/);
  });

  it("is a picture also when it is called a file, and the name of any other file", () => {
    expect(asked(file(jpeg(), "application/octet-stream", "p.jpg"))).toEqual([
      expect.stringMatching(/^\(p\.jpg, image\/jpeg, .*which is a picture\)$/),
      "<image/jpeg>",
    ]);
    expect(asked(file(Buffer.from("%PDF-1.7\0"), "text/plain", "b.txt"))).toEqual([
      "(b.txt, application/pdf, 9 bytes: a file that can't be shown)",
    ]);
    expect(asked(file(new Uint8Array(), "text/plain"))).toEqual([expect.stringMatching(/a file with nothing in it/)]);
  });

  test.each([[[]], [[words("")]], [[words(" \n")]]])("is said to be empty when it is: %j", (blocks) => {
    expect(asked(...blocks)).toEqual(["(an empty message)"]);
  });
});

describe(`a failed call with pictures ${verifies("FA2")}`, () => {
  const { FAILED, SUCCEEDED, TIMED_OUT } = ToolOutcome;

  it("is text in its result, and the picture behind all results", () => {
    expect(
      answered(
        { outcome: FAILED, content: [words("broken"), image(jpeg())] },
        { outcome: SUCCEEDED, content: [image(png())] },
        { outcome: FAILED, content: [image(gif()), words("twice"), image(webp("VP8X"))] },
      ),
    ).toEqual([
      [true, "broken", "(a picture: number 1 of those behind the results)"],
      [false, "<image/png>"],
      [true, expect.stringMatching(/number 2/), "twice", expect.stringMatching(/number 3/)],
      "<image/jpeg>",
      "<image/gif>",
      "<image/webp>",
    ]);
  });

  it("so is one that timed out, and a picture that can't be shown stays a sentence", () => {
    expect(answered({ outcome: TIMED_OUT, content: [image(Buffer.from("x"))] })).toEqual([
      [true, expect.stringMatching(/can't be shown/)],
    ]);
  });

  it("says when its answer was cut", () => {
    expect(answered({ outcome: SUCCEEDED, content: [words("a")], truncated: true })).toEqual([
      [false, "a", "(The answer was longer: it was cut here.)"],
    ]);
  });
});

describe(`the pictures of a request ${verifies("FA4", "F2")}`, () => {
  const messagesOf = (pictures: readonly Uint8Array[]): ModelMessage[] =>
    pictures.map((bytes) => ({ role: "user", content: [{ type: "image", mediaType: "image/png", bytes }] }));
  const fitted = (pictures: readonly Uint8Array[]) =>
    fitPictures(messagesOf(pictures)).map(({ content }) => content[0]?.type);
  const small = png(2_000, 2_000);
  const wide = png(2_001, 2);

  it("may be large up to twenty, the newest are kept large when there are more", () => {
    expect(new Set(fitted(Array.from({ length: 20 }, () => wide)))).toEqual(new Set(["image"]));
    const mixed = fitted([wide, wide, ...Array.from({ length: 18 }, () => small), wide]);
    expect(mixed.filter((type) => type === "image")).toHaveLength(20);
    expect(mixed[0]).toBe("text");
    const many = fitted([...Array.from({ length: 25 }, () => small), wide, wide]);
    expect(many.slice(0, 25)).toEqual(Array.from({ length: 25 }, () => "image"));
    expect(many.slice(25)).toEqual(["text", "text"]);
  });

  it("are at most a hundred, the newest", () => {
    const types = fitted(Array.from({ length: 103 }, () => small));
    expect(types.indexOf("image")).toBe(3);
    expect(types.slice(3)).toEqual(Array.from({ length: 100 }, () => "image"));
  });

  it("have a sum of bytes, whatever stands in results", () => {
    const large = png(2, 2, 3_000_000);
    const bytes = Array.from({ length: 7 }, () => ({ type: "image" as const, mediaType: "image/png", bytes: large }));
    const messages: ModelMessage[] = bytes.map((picture, index) => ({
      role: "user",
      content: [{ type: "tool_result", callId: `c${index}`, content: [picture], isError: false }],
    }));
    const kept = fitPictures(messages).flatMap(({ content }) => shownIn(content) as unknown[][]);
    expect(kept.filter(([, shown]) => shown === "<image/png>")).toHaveLength(
      Math.floor(maxAllPictureBytes / large.length),
    );
    expect(kept[0]).toEqual([false, expect.stringMatching(/too many/)]);
  });

  it("leave messages alone that have none too many", () => {
    const messages = messagesOf([small, wide]);
    expect(fitPictures(messages)[0]).toBe(messages[0]);
  });
});

describe(`what is remembered of media ${verifies("FA5", "L7")}`, () => {
  it("is the newest; the model is told of the rest", () => {
    const content = (n: number) => [words(`see ${n}`), image(png(2, 2, 1_000))];
    const runs = [1, 2, 3].map((n) =>
      runOf(content(n), [{ outcome: ToolOutcome.SUCCEEDED, content: [image(jpeg())] }]),
    );
    forgetOldMedia(runs, 2 * png(2, 2, 1_000).length);
    const shown = runs.map((run) => shownIn(toModelMessages({ runs: [run] }, 100).flatMap(({ content: all }) => all)));
    const [oldest, middle, newest] = shown;
    expect(oldest?.[1]).toMatch(/^\(image\/png, 1 .* bytes: a picture that can't be shown: it is too long ago\)$/);
    expect(oldest?.[3]).toEqual([false, expect.stringMatching(/too long ago/)]);
    expect(middle?.[3]).toEqual([false, "<image/jpeg>"]);
    expect(newest?.slice(1)).toEqual(["<image/png>", "tool_use", [false, "<image/jpeg>"]]);
  });
});

describe(`a model's API that refuses what it can't read ${verifies("FA2", "FA3", "FA4", "F1")}`, () => {
  const whole = [
    png(),
    jpeg(),
    gif(),
    webp("VP8 "),
    webp("VP8L"),
    png(9_000, 4),
    png(3_000, 4),
    ...Object.values(otherPictures),
  ];
  const bytes = fc
    .constantFrom<Buffer>(...whole)
    .chain((each) => fc.integer({ min: 0, max: each.length * 2 }).map((length) => each.subarray(0, length)));
  const type = fc.constantFrom("image/png", "image/jpeg", "text/plain", "", "application/octet-stream", "audio/wav");
  const block: fc.Arbitrary<BlockInit> = fc.oneof(
    fc.string({ unit: "grapheme" }).map(words),
    fc.tuple(bytes, type).map(([each, called]) => image(each, called)),
    fc.tuple(fc.oneof(bytes, fc.uint8Array()), type).map(([each, called]) => file(each, called)),
    fc.constantFrom<BlockInit>(
      { case: "image", value: {} },
      { case: "audio", value: {} },
      { case: "command", value: {} },
    ),
  );
  const called = fc.record({
    outcome: fc.constantFrom(...[1, 2, 3, 5, 6, 7]) as fc.Arbitrary<ToolOutcome>,
    content: fc.oneof(
      { weight: 9, arbitrary: fc.array(block, { maxLength: 6 }) },
      { weight: 1, arbitrary: fc.array(block, { minLength: 25, maxLength: 40 }) },
    ),
    truncated: fc.boolean(),
  });
  const run = fc.tuple(fc.array(block, { maxLength: 5 }), fc.array(called, { maxLength: 4 }));

  it("takes every conversation, and every block is shown or named", async () => {
    const fake = await startFakeAnthropic();
    onTestFinished(() => fake.close());
    const log = createLog({ level: "silent", format: "json" });
    const settings = { apiKey: "sk-secret", baseUrl: fake.url, maxRetries: 0, timeoutMs: 60_000, silenceMs: 60_000 };
    const model = createAnthropicModel(settings, { clock: systemClock, log });
    await fc.assert(
      fc.asyncProperty(run, async ([content, calls]) => {
        const messages = toModelMessages({ runs: [runOf(content, calls)] }, 100);
        const isBlank = (each: BlockInit) => each.case === "text" && String(each.value.text).trim() === "";
        const least = content.filter((each) => !isBlank(each)).length;
        expect(messages[0]?.content.length).toBeGreaterThanOrEqual(least);
        const { parts } = await gather(model, requestOf(messages, { maxOutputTokens: 50 }));
        expect(parts.at(-1)?.kind).toBe("stop");
      }),
      { numRuns: 200 },
    );
  }, 120_000);

  it("takes a picture of the largest size", async () => {
    const fake = await startFakeAnthropic();
    onTestFinished(() => fake.close());
    const log = createLog({ level: "silent", format: "json" });
    const settings = { apiKey: "sk-secret", baseUrl: fake.url, maxRetries: 0, timeoutMs: 60_000, silenceMs: 60_000 };
    const largest = png(8_000, 8, maxPictureBytes - 10_000);
    const messages = toModelMessages({ runs: [runOf([image(largest)])] }, 100);
    await gather(createAnthropicModel(settings, { clock: systemClock, log }), requestOf(messages));
    expect(JSON.stringify(fake.requests().at(-1)?.body)).toContain('"media_type":"image/png"');
  });
});
