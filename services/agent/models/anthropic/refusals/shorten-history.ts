/**
 * Makes a conversation fit: answers of tools are cut first, those of earlier turns before the newest, the largest down to
 * the length of the next; then pictures, oldest first; then what else is long.
 */
import { blockKey } from "../../mend-messages.ts";
import type { ImageBlock, Mend, ModelBlock, ModelMessage, TextBlock } from "../../model.ts";
import type { Offence } from "./refusal-words.ts";

/** Room for what comes next, so that the next call is not refused again. */
const headroom = 0.85;
/** Bytes of a text that always stay. */
const leastKeptBytes = 2_048;
/** What a picture weighs in bytes of text when tokens are counted: 1 600 tokens. */
const pictureBytes = 6_400;
/** HistoryMended.blocks. */
const mostMends = 256;

interface Piece {
  readonly block: TextBlock | ImageBlock;
  /** 0 is cut first. */
  readonly rank: number;
  readonly bytes: number;
}

/** What to cut; empty when there is nothing. */
export function shortenHistory(
  history: readonly ModelMessage[],
  { keep, unit }: Extract<Offence, { kind: "too-long" }>,
): readonly Mend[] {
  const weigh = (block: TextBlock | ImageBlock): number => {
    if (block.type === "text") return Buffer.byteLength(block.text);
    return unit === "bytes" ? Math.ceil(block.bytes.length / 3) * 4 : pictureBytes;
  };
  const pieces = history.flatMap((message, at) =>
    message.content.flatMap((block) => piecesOf(block, at, history, weigh)),
  );
  const others = history.flatMap(({ content }) => content).filter((block) => block.type === "tool_use");
  const total =
    pieces.reduce((sum, { bytes }) => sum + bytes, 0) +
    others.reduce((sum, block) => sum + Buffer.byteLength(JSON.stringify(block.arguments)), 0);
  let excess = total - total * keep * headroom;
  const mends: Mend[] = [];
  for (const rank of [0, 1, 2, 3]) {
    if (excess <= 0) break;
    const group = pieces.filter((piece) => piece.rank === rank);
    const cut = rank === 2 ? leaveOut(group, excess) : cutLargest(group, excess);
    mends.push(...cut.mends);
    excess -= cut.saved;
  }
  return mends.slice(0, mostMends);
}

function piecesOf(
  block: ModelBlock,
  at: number,
  history: readonly ModelMessage[],
  weigh: (block: TextBlock | ImageBlock) => number,
): Piece[] {
  switch (block.type) {
    case "text":
      return [{ block, rank: 3, bytes: weigh(block) }];
    case "image":
      return [{ block, rank: 2, bytes: weigh(block) }];
    case "tool_result": {
      const isNewest = at === history.length - 1;
      return block.content.map((part) => ({
        block: part,
        rank: part.type === "image" ? 2 : isNewest ? 1 : 0,
        bytes: weigh(part),
      }));
    }
    case "thinking":
    case "tool_use":
      return [];
  }
}

interface Cut {
  readonly mends: readonly Mend[];
  readonly saved: number;
}

/** The largest are cut to one length, so that what is short stays whole. */
function cutLargest(pieces: readonly Piece[], excess: number): Cut {
  const sizes = pieces.map(({ bytes }) => bytes).sort((a, b) => b - a);
  let level = leastKeptBytes;
  let above = 0;
  for (const [index, bytes] of sizes.entries()) {
    above += bytes;
    const next = Math.max(sizes[index + 1] ?? 0, leastKeptBytes);
    if (above - (index + 1) * next < excess) continue;
    level = Math.max(leastKeptBytes, Math.floor((above - excess) / (index + 1)));
    break;
  }
  const cut = pieces.filter(({ bytes }) => bytes > level);
  return {
    mends: mendsOf(cut, level),
    saved: cut.reduce((sum, { bytes }) => sum + bytes - level, 0),
  };
}

/** Whole ones, oldest first. */
function leaveOut(pieces: readonly Piece[], excess: number): Cut {
  let saved = 0;
  const count = pieces.findIndex(({ bytes }) => {
    saved += bytes;
    return saved >= excess;
  });
  return { mends: mendsOf(count < 0 ? pieces : pieces.slice(0, count + 1), 0), saved };
}

function mendsOf(pieces: readonly Piece[], keepBytes: number): Mend[] {
  return pieces.map(({ block, bytes }) => {
    const what = block.type === "image" ? "A picture" : `${bytes - keepBytes} bytes`;
    const verb = block.type === "image" ? "was" : "were";
    const note = `(${what} ${verb} left out here: the conversation no longer fits the model.)`;
    return { block: blockKey(block) ?? "", note, keepBytes };
  });
}
