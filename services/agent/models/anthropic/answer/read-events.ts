/**
 * The events of one answer, turned into parts one by one.
 *
 * Keeps the port's order, whatever the wire does: blocks come one after the other, renumbered from 0 without gaps, and each
 * one ends (a block that never stops is ended with the answer, one whose index comes again with the next). Nothing is
 * given out before the first block or the end, so that an answer which fails before that may be asked for again. A piece
 * of a block that never began means that something is missing: the answer is malformed. Keeps L7: inputs, signatures and
 * texts are bounded. Keeps L9: what is skipped, ignored or dropped is counted, for the log.
 */
import type { ModelPart } from "../../model.ts";
import { addUsage, noUsage } from "./clean-usage.ts";
import { type AnswerNames, longestSignatureBytes, type OpenBlock, stopPart, stopReasonPart } from "./end-block.ts";
import { MalformedAnswer, StreamedError } from "./malformed-answer.ts";
import { BlockOrder } from "./order-blocks.ts";
import { longestInputBytes } from "./parse-arguments.ts";
import { type Fields, fieldsOf, indexOf, shortText, textOf } from "./read-fields.ts";

/** Of all text and reasoning of an answer, in characters: ten times what a model can put out. */
const longestTextChars = 8_388_608;
const longestDetailChars = 1_024;

export interface EventReader {
  /** The parts that this event makes. Throws MalformedAnswer, and StreamedError for an `error` event. */
  read(event: unknown): readonly ModelPart[];
  /** Whether the answer came to its end. What follows is ignored. */
  readonly complete: boolean;
  /** Blocks of kinds that Atoll never asks for. */
  readonly skippedBlocks: number;
  /** Blocks that the wire left open, and stops of blocks that were not. */
  readonly mendedBlocks: number;
}

const none: readonly ModelPart[] = [];

export function createEventReader(names: AnswerNames): EventReader {
  const open = new Map<number, OpenBlock | "skipped">();
  const order = new BlockOrder();
  let usage = noUsage;
  let usageDue = false;
  let began = false;
  let asksForTools = false;
  let stopReason = "";
  let stopDetail = "";
  let complete = false;
  let textChars = 0;
  let skippedBlocks = 0;
  let mendedBlocks = 0;

  const takeUsage = (): readonly ModelPart[] => {
    if (!usageDue) return none;
    usageDue = false;
    return [{ kind: "usage", ...usage }];
  };

  const say = (block: OpenBlock & { half: string }, text: unknown): readonly ModelPart[] => {
    if (typeof text !== "string") throw new MalformedAnswer("a piece of text is no text");
    textChars += text.length;
    if (textChars > longestTextChars)
      throw new MalformedAnswer(`the answer is longer than ${longestTextChars} characters`);
    const joined = block.half + text;
    // Its other half may be on its way.
    block.half = /[\ud800-\udbff]$/.test(joined) ? joined.slice(-1) : "";
    const whole = joined.slice(0, joined.length - block.half.length).toWellFormed();
    if (whole === "") return none;
    const kind = block.block === "text" ? "text" : "thinking";
    return order.add(block.index, { kind, index: block.index, text: whole });
  };

  const endBlock = (apiIndex: number, block: OpenBlock, wasCut = false): readonly ModelPart[] => {
    open.delete(apiIndex);
    const parts: ModelPart[] = [];
    if (block.block !== "tool_use" && block.half !== "") {
      const kind = block.block === "text" ? "text" : "thinking";
      parts.push(...order.add(block.index, { kind, index: block.index, text: "\ufffd" }));
    }
    const { stop, mended } = stopPart(block, names, wasCut);
    parts.push(...order.end(block.index, stop));
    // Behind the block: what is said of an answer is said between its blocks.
    return mended === undefined ? parts : [...parts, mended];
  };

  const endOpenBlock = (apiIndex: number): readonly ModelPart[] => {
    const block = open.get(apiIndex);
    if (block === undefined || block === "skipped") {
      open.delete(apiIndex);
      return none;
    }
    mendedBlocks += 1;
    return endBlock(apiIndex, block, true);
  };

  const start = (event: Fields): readonly ModelPart[] => {
    const apiIndex = indexOf(event);
    const content = fieldsOf(event["content_block"]);
    if (content === undefined) throw new MalformedAnswer("a block begins without saying what it is");
    const ended = endOpenBlock(apiIndex);
    const kind = content["type"];
    if (kind !== "text" && kind !== "thinking" && kind !== "redacted_thinking" && kind !== "tool_use") {
      skippedBlocks += 1;
      open.set(apiIndex, "skipped");
      return ended;
    }
    const parts: ModelPart[] = [...ended, ...takeUsage()];
    const index = order.begin();
    if (kind === "tool_use") {
      asksForTools = true;
      const name = shortText(content["name"]);
      open.set(apiIndex, { index, block: "tool_use", name, given: content["input"], input: "", inputBytes: 0 });
      const callId = shortText(content["id"]);
      parts.push(
        ...order.add(index, { kind: "block-start", index, block: "tool_use", callId, tool: names.toolName(name) }),
      );
      return parts;
    }
    if (kind === "text") {
      const block = { index, block: "text" as const, half: "" };
      open.set(apiIndex, block);
      parts.push(...order.add(index, { kind: "block-start", index, block: "text" }));
      parts.push(...say(block, content["text"] ?? ""));
      return parts;
    }
    const redacted = kind === "redacted_thinking";
    const signature = textOf(redacted ? content["data"] : content["signature"]);
    const block = { index, block: "thinking" as const, redacted, half: "", signature };
    open.set(apiIndex, block);
    parts.push(...order.add(index, { kind: "block-start", index, block: "thinking" }));
    if (!redacted) parts.push(...say(block, content["thinking"] ?? ""));
    return parts;
  };

  const delta = (event: Fields): readonly ModelPart[] => {
    const block = open.get(indexOf(event));
    const change = fieldsOf(event["delta"]);
    if (block === "skipped" || change === undefined) return none;
    switch (change["type"]) {
      case "text_delta":
        if (block?.block !== "text") throw new MalformedAnswer("a piece of text belongs to no block");
        return say(block, change["text"]);
      case "thinking_delta":
        if (block?.block !== "thinking") throw new MalformedAnswer("a piece of reasoning belongs to no block");
        return say(block, change["thinking"]);
      case "input_json_delta": {
        if (block?.block !== "tool_use") throw new MalformedAnswer("a piece of arguments belongs to no call");
        const piece = textOf(change["partial_json"]);
        block.inputBytes += Buffer.byteLength(piece);
        if (block.inputBytes <= longestInputBytes) block.input += piece;
        return none;
      }
      case "signature_delta": {
        const piece = textOf(change["signature"]);
        // A little over the bound is enough to know.
        if (block?.block === "thinking" && block.signature.length <= longestSignatureBytes) block.signature += piece;
        return none;
      }
      default:
        return none;
    }
  };

  const stop = (apiIndex: number): readonly ModelPart[] => {
    const block = open.get(apiIndex);
    if (block === undefined) mendedBlocks += 1;
    if (block === undefined || block === "skipped") {
      open.delete(apiIndex);
      return none;
    }
    return endBlock(apiIndex, block);
  };

  const finish = (): readonly ModelPart[] => {
    const parts = [...open.keys()].flatMap(endOpenBlock);
    complete = true;
    usageDue = true;
    const reason = stopReason === "" ? (asksForTools ? "tool_use" : "end_turn") : stopReason;
    return [...parts, ...takeUsage(), stopReasonPart(reason, stopDetail)];
  };

  return {
    get complete() {
      return complete;
    },
    get skippedBlocks() {
      return skippedBlocks;
    },
    get mendedBlocks() {
      return mendedBlocks;
    },
    read(given) {
      if (complete) return none;
      const event = fieldsOf(given);
      if (event === undefined) throw new MalformedAnswer("an event of the answer is no object");
      switch (event["type"]) {
        case "content_block_delta":
          return delta(event);
        case "content_block_start":
          return start(event);
        case "content_block_stop":
          return stop(indexOf(event));
        case "message_start":
          if (began) throw new MalformedAnswer("the answer begins twice");
          began = true;
          usage = addUsage(usage, fieldsOf(event["message"])?.["usage"]);
          usageDue = true;
          return none;
        case "message_delta": {
          usage = addUsage(usage, event["usage"]);
          usageDue = true;
          const change = fieldsOf(event["delta"]);
          stopReason = shortText(change?.["stop_reason"]) || stopReason;
          const detail = fieldsOf(change?.["stop_details"])?.["explanation"];
          if (typeof detail === "string") stopDetail = detail.slice(0, longestDetailChars).toWellFormed();
          return none;
        }
        case "message_stop":
          return finish();
        case "error": {
          const problem = fieldsOf(event["error"]);
          throw new StreamedError(shortText(problem?.["type"]), textOf(problem?.["message"]));
        }
        default:
          // The API may add kinds of events; none of them can hold what was asked for.
          return none;
      }
    },
  };
}
