/** What a tool's server may answer a call with: good, odd, broken, large, or no answer of MCP at all. */
import fc from "fast-check";
import { makeGif, makeJpeg, makePng } from "../support/fake-anthropic/requests/pictures.ts";
import type { Answer } from "../support/sloppy-mcp/script.ts";

const pictures = [makePng(2, 2), makeJpeg(3, 2), makeGif(2, 3), makePng(9_000, 1), new Uint8Array(), Buffer.from("no")];
const base64 = fc.constantFrom(...pictures).map((bytes) => Buffer.from(bytes).toString("base64"));
const odd = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, true, 5, "", "words", "\ud800", "\u0000", [], {}),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.object({ maxDepth: 3 }),
);
const mediaType = fc.oneof(
  fc.constantFrom("image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/json", "video/mp4"),
  odd,
);
const longText = fc.tuple(fc.constantFrom("a", "é", "語", "\n"), fc.integer({ min: 1, max: 400_000 }));
const text = fc.oneof(
  { weight: 8, arbitrary: odd },
  { weight: 1, arbitrary: longText.map(([letter, count]) => letter.repeat(count)) },
);
const resource = fc.record({ uri: odd, mimeType: mediaType, text, blob: fc.oneof(base64, odd) }, { requiredKeys: [] });
const block = fc.oneof(
  fc.record({ type: fc.constantFrom("text", "image", "audio", "resource", "resource_link", "video") }),
  fc.record({ type: fc.constant("text"), text }),
  fc.record({ type: fc.constantFrom("image", "audio"), data: fc.oneof(base64, odd), mimeType: mediaType }),
  fc.record({ type: fc.constant("resource"), resource: fc.oneof(resource, odd) }),
  fc.record({ type: fc.constant("resource_link"), uri: odd, name: odd, description: odd }),
  odd,
);
const result = fc.oneof(
  fc.record(
    { content: fc.oneof(fc.array(block, { maxLength: 6 }), odd), structuredContent: odd, isError: odd, _meta: odd },
    { requiredKeys: [] },
  ),
  odd,
);

/** JSON has no undefined and no lone surrogate that every writer keeps: what is left is what stands on a wire. */
const asSteps = (value: unknown): Answer => [{ result: JSON.parse(JSON.stringify(value ?? null)) as unknown }];

/** Each is an answer that came, so that nobody may call it unknown. */
export const anyAnswer: fc.Arbitrary<Answer> = fc.oneof(
  { weight: 12, arbitrary: result.map(asSteps) },
  { weight: 2, arbitrary: fc.record({ code: odd, message: odd, data: odd }).map((error): Answer => [{ error }]) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom("", "{", "<html>no</html>", '{"jsonrpc":"2.0","id":$id}', '{"id":$id,"result":[]}', "null", "[]")
      .map((raw): Answer => [{ raw }]),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(400, 401, 403, 404, 429).map((status): Answer => [{ status }, { raw: "no" }]),
  },
);
