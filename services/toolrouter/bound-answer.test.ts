import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { systemClock } from "../kernel/clock.ts";
import { createLog } from "../kernel/log.ts";
import { openBlobStore } from "../kernel/store/open-stores.ts";
import { boundAnswer, maxAnswerBytes } from "./bound-answer.ts";
import type { McpContent } from "./mcp/mcp-connection.ts";
import { scope, temporaryFolder } from "./toolrouter.fixture.ts";

const log = createLog({ level: "silent", format: "json" });

async function bound(content: McpContent[], structured?: JsonObject) {
  const blobs = await openBlobStore(temporaryFolder(), () => systemClock.nowMs());
  const bounded = await boundAnswer({ content, structured, isError: false }, scope, blobs, log);
  const last = bounded.content.at(-1)?.block;
  const source = last?.case === "file" ? last.value.media?.source : undefined;
  const whole = source?.case === "blob" ? await blobs.get(scope, source.value.sha256) : undefined;
  return { ...bounded, whole: whole === undefined ? undefined : Buffer.from(whole).toString("utf8") };
}

describe("an answer", () => {
  it("at the bound stays as it is", async () => {
    const { content, truncated } = await bound([{ kind: "text", text: "a".repeat(maxAnswerBytes) }]);
    expect(truncated).toBe(false);
    expect(content).toHaveLength(1);
  });

  it("one byte over the bound is cut and kept whole", async () => {
    const text = "a".repeat(maxAnswerBytes + 1);
    const { content, truncated, whole } = await bound([{ kind: "text", text }]);
    expect(truncated).toBe(true);
    expect(content[0]?.block.value).toMatchObject({ text: text.slice(1) });
    expect(whole).toBe(text);
  });

  it("of several parts is kept whole as JSON, bytes in base64", async () => {
    const bytes = Buffer.alloc(maxAnswerBytes, 7);
    const image: McpContent = { kind: "image", bytes, mediaType: "image/png" };
    const { content, structured, whole } = await bound([{ kind: "text", text: "see" }, image], { a: "b" });
    expect(content.map(({ block }) => block.case)).toEqual(["text", "file"]);
    expect(structured).toEqual({ a: "b" });
    const kept = JSON.parse(whole ?? "") as { content: { bytes?: string }[]; structured: unknown };
    expect(Buffer.from(kept.content[1]?.bytes ?? "", "base64")).toEqual(bytes);
    expect(kept.structured).toEqual({ a: "b" });
  });

  it("whose object no reader could take keeps it in the blob", async () => {
    let deep: JsonObject = { end: "found" };
    for (let depth = 0; depth < 200; depth++) deep = { deep };
    for (const structured of [deep, { n: Number.POSITIVE_INFINITY }]) {
      const bounded = await bound([{ kind: "text", text: "short" }], structured);
      expect(bounded).toMatchObject({ structured: undefined, truncated: true });
      expect(bounded.content[0]?.block.value).toMatchObject({ text: "short" });
      expect(bounded.whole).toContain('"structured":');
    }
  });

  it("of very many parts is cut to 256 blocks", async () => {
    const content = Array.from({ length: 1000 }, (_, i): McpContent => ({ kind: "text", text: `${i}` }));
    const bounded = await bound(content);
    expect(bounded.content).toHaveLength(256);
    expect(bounded.truncated).toBe(true);
    expect(bounded.whole).toContain("999");
  });
});
