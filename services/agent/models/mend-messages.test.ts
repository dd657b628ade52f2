import fc from "fast-check";
import { expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { assistant, call, result, user } from "./collect-parts.fixture.ts";
import { blockKey, mendMessages } from "./mend-messages.ts";
import type { Mend, ModelBlock } from "./model.ts";

const note = "(left out)";
const mendsOf = (...mends: readonly Mend[]) => new Map(mends.map((mend) => [mend.block, mend]));
const mendOf = (block: ModelBlock, keepBytes = 0): Mend => ({ block: blockKey(block) ?? "", note, keepBytes });
const text = (words: string): ModelBlock => ({ type: "text", text: words });
const image = (byte: number): ModelBlock => ({ type: "image", mediaType: "image/png", bytes: Uint8Array.of(byte) });

it(`puts a note in the place of each kind of block, wherever it stands, and leaves the rest as it is ${verifies("F2")}`, () => {
  const answer: ModelBlock = {
    type: "tool_result",
    callId: "1",
    content: [{ type: "text", text: "ok" }, image(1) as never],
    isError: false,
  };
  const messages = [
    user("a", image(1), image(2)),
    assistant("b", call("1", "s.t", { x: 1 })),
    user(answer, "c"),
    assistant("d"),
  ];
  const mended = mendMessages(messages, mendsOf(mendOf(image(1)), mendOf(call("1", "s.t")), mendOf(text("d"))));
  expect(mended).toEqual([
    user("a", note, image(2)),
    assistant("b", call("1", "s.t", { note })),
    user(
      {
        ...answer,
        content: [
          { type: "text", text: "ok" },
          { type: "text", text: note },
        ],
      } as ModelBlock,
      "c",
    ),
    assistant(note),
  ]);
  const other = mendMessages(messages, mendsOf(mendOf(result("1", ""))));
  expect(other[2]).toEqual(user(result("1", note), "c"));
  expect(other[0]).toBe(messages[0]);
  expect(mendMessages(messages, new Map())).toBe(messages);
});

it("shortens a text to its beginning and its end, again and again, and splits no character", () => {
  fc.assert(
    fc.property(
      // A text may have the sign of a split character itself.
      fc.string({ unit: "grapheme", minLength: 40, maxLength: 200 }).filter((words) => !words.includes("\ufffd")),
      fc.integer({ min: 1, max: 30 }),
      (words, keepBytes) => {
        const [once] = mendMessages([user(words)], mendsOf(mendOf(text(words), 30)));
        const shorter = once?.content[0] as ModelBlock;
        const mends = mendsOf(mendOf(text(words), 30), mendOf(shorter, keepBytes));
        const [twice] = mendMessages([user(words)], mends);
        const said = twice?.content[0];
        if (said?.type !== "text" || shorter.type !== "text") throw new Error("a text stays one");
        expect(shorter.text).not.toContain("\ufffd");
        expect(Buffer.byteLength(said.text)).toBeLessThanOrEqual(keepBytes + 2 * note.length + 4);
        expect(shorter.text).toContain(note);
      },
    ),
  );
});
