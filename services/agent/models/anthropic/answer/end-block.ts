/** The ends of blocks and of an answer. Keeps L7: inputs and signatures are bounded; what is longer is left out by name. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { ModelBlockStop, ModelPart, ModelStopReason } from "../../model.ts";
import { longestInputBytes, type ParsedArguments, parseArguments, tooLongArguments } from "./parse-arguments.ts";

/** Of one reasoning block's signature (BlockCompleted.signature). */
export const longestSignatureBytes = 65_536;

/** The tool's own words for what the API calls otherwise. */
export interface AnswerNames {
  /** `server.tool` of the API's name of a tool. */
  toolName(apiName: string): string;
  /** Arguments by the tool's own names. */
  toolArguments(apiName: string, args: JsonObject): JsonObject;
}

/** A block that has begun and not ended. */
export type OpenBlock = { readonly index: number } & (
  | { readonly block: "text"; half: string }
  | { readonly block: "thinking"; readonly redacted: boolean; half: string; signature: string }
  | { readonly block: "tool_use"; readonly name: string; readonly given: unknown; input: string; inputBytes: number }
);

const encoder = new TextEncoder();

/** How a block ends, and what of it was left out. `wasCut`: nothing on the wire ended it. */
export function stopPart(
  block: OpenBlock,
  names: AnswerNames,
  wasCut: boolean,
): { readonly stop: ModelBlockStop; readonly mended?: ModelPart } {
  const { index } = block;
  switch (block.block) {
    case "text":
      return { stop: { kind: "block-stop", index, block: "text" } };
    case "thinking": {
      const { redacted } = block;
      const signature = encoder.encode(block.signature);
      if (signature.length <= longestSignatureBytes) {
        return { stop: { kind: "block-stop", index, block: "thinking", signature, redacted } };
      }
      const reason = `The signature of a block of reasoning is longer than ${longestSignatureBytes} bytes: the block is not sent back to the model.`;
      return {
        stop: { kind: "block-stop", index, block: "thinking", signature: new Uint8Array(), redacted },
        mended: { kind: "mended", reason, mends: [], withoutThinking: false },
      };
    }
    case "tool_use": {
      const parsed = readInput(block, wasCut);
      const args = names.toolArguments(block.name, parsed.arguments);
      return { stop: { kind: "block-stop", index, block: "tool_use", ...parsed, arguments: args } };
    }
  }
}

function readInput(block: Extract<OpenBlock, { block: "tool_use" }>, wasCut: boolean): ParsedArguments {
  if (block.inputBytes > longestInputBytes) return tooLongArguments();
  // Nothing says that nothing was to come.
  if (wasCut && block.input === "")
    return { arguments: {}, problem: "The call was cut short: its arguments never came." };
  return parseArguments(block.input, block.given);
}

/** How the answer ends. `reason` is the API's. */
export function stopReasonPart(reason: string, explanation: string): ModelPart {
  const known: Readonly<Record<string, ModelStopReason>> = {
    end_turn: "end",
    stop_sequence: "end",
    tool_use: "tool_use",
    max_tokens: "max_tokens",
    refusal: "refusal",
    model_context_window_exceeded: "context_full",
    pause_turn: "pause",
  };
  const ours = Object.hasOwn(known, reason) ? known[reason] : undefined;
  // A reason that we don't know ends the answer all the same; the detail says which it was.
  return { kind: "stop", reason: ours ?? "end", detail: ours === undefined ? reason : explanation };
}
