/**
 * Blocks of model output. Keeps S3: a delta truncates its block to the offset and appends; an offset past the known
 * length is an error unless a hidden range explains it; a completed block agrees in length and checksum. Keeps S8: a
 * discarded step leaves no block and no call that had not been let through.
 */
import { type BlockCompleted, BlockKind, type StepDiscarded } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { OutputBlock } from "./conversation.ts";
import { crc32 } from "./crc32.ts";
import { addItem, type Draft, ownItem, ownRun } from "./fold-draft.ts";
import { FoldError } from "./fold-error.ts";
import { toNumber } from "./seq-range.ts";
import { indexAtByte, utf8Length } from "./utf8.ts";

type BlockDraft = { -readonly [Key in keyof OutputBlock]: OutputBlock[Key] };

/** Stands in a block's text where a part of it is lost or hidden. */
export const holeMark = "\u2026";

interface Delta {
  readonly blockId: string;
  readonly offset: bigint;
  readonly text: string;
}

export function foldDelta(draft: Draft, event: Event, output: OutputBlock["output"], delta: Delta): void {
  const seq = toNumber(event.seq);
  const block = ownBlock(draft, event, delta.blockId, output);
  const offset = toNumber(delta.offset);
  if (offset > block.byteLength) openHole(draft, block, offset, seq);
  else if (offset < block.byteLength) truncate(block, offset, seq);
  block.text += delta.text;
  block.byteLength = offset + utf8Length(delta.text);
  block.complete = false;
  block.lastSeq = seq;
}

export function foldBlockCompleted(draft: Draft, event: Event, completed: BlockCompleted): void {
  const seq = toNumber(event.seq);
  const output = completed.kind === BlockKind.THINKING ? "thinking" : "text";
  const block = ownBlock(draft, event, completed.blockId, output);
  const length = toNumber(completed.length);
  if (length > block.byteLength && draft.hiddenThroughSeq > block.lastSeq) openHole(draft, block, length, seq);
  if (length !== block.byteLength) {
    const problem = `block ${block.blockId} has ${block.byteLength} bytes, the log says ${length}`;
    throw new FoldError("length", seq, problem);
  }
  if (!block.missing && crc32(block.text) !== completed.crc32) {
    throw new FoldError("checksum", seq, `block ${block.blockId} has another checksum than the log says`);
  }
  block.output = output;
  block.redacted = completed.redacted;
  block.complete = true;
  block.lastSeq = seq;
}

export function foldStepDiscarded(draft: Draft, event: Event, discarded: StepDiscarded): void {
  const run = ownRun(draft, event.runId);
  run.items = run.items.filter((item) => {
    // A call that was let through may have had its effect: hiding it would be a lie.
    const isVoid = item.kind === "block" || (item.kind === "call" && item.state.kind === "proposed");
    return !(isVoid && item.step === discarded.step && item.attempt === discarded.attempt);
  });
  const { step, attempt } = discarded;
  addItem(draft, run, { kind: "note", seq: toNumber(event.seq), note: { kind: "stepDiscarded", step, attempt } });
}

function ownBlock(draft: Draft, event: Event, blockId: string, output: OutputBlock["output"]): BlockDraft {
  const run = ownRun(draft, event.runId);
  const known = ownItem(draft, run, "block", (item) => item.blockId === blockId);
  if (known !== undefined) return known;
  return addItem<OutputBlock>(draft, run, {
    kind: "block",
    blockId,
    output,
    step: event.step,
    attempt: event.attempt,
    text: "",
    byteLength: 0,
    complete: false,
    missing: false,
    redacted: false,
    lastSeq: 0,
    tailIndex: 0,
    tailByte: 0,
  });
}

/** Goes on at `offset` though the text before it is not known, when a hidden range since the last delta explains it. */
function openHole(draft: Draft, block: BlockDraft, offset: number, seq: number): void {
  if (draft.hiddenThroughSeq <= block.lastSeq) {
    const problem = `block ${block.blockId} has ${block.byteLength} bytes, the delta begins at ${offset}`;
    throw new FoldError("offset", seq, problem);
  }
  block.text += holeMark;
  block.missing = true;
  block.byteLength = offset;
  block.tailIndex = block.text.length;
  block.tailByte = offset;
}

function truncate(block: BlockDraft, offset: number, seq: number): void {
  if (offset < block.tailByte) {
    // Inside the hole or before it: what is known of the tail is void, and it begins anew here.
    block.text = block.text.slice(0, block.tailIndex);
    block.tailByte = offset;
    return;
  }
  const index = indexAtByte(block.text, offset - block.tailByte, block.tailIndex);
  if (index === undefined) {
    throw new FoldError("border", seq, `the delta begins inside a code point of block ${block.blockId}`);
  }
  block.text = block.text.slice(0, index);
}
