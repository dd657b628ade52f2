/**
 * The events of one answer, turned into parts one by one.
 *
 * Keeps the port's order: blocks are renumbered from 0 without gaps (kinds that Atoll never asks for are skipped, L9:
 * they are counted), and nothing is given out before the first block or the end, so that an answer which fails before
 * that may be asked for again. A tool's input is bounded (L7).
 */
import type Anthropic from "@anthropic-ai/sdk";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { ModelBlockStop, ModelPart, ModelStopReason, ModelUsage } from "../model.ts";

/** The most characters of one tool input. */
export const longestInputChars = 4_194_304;

export interface EventReader {
  /** The parts that this event makes. */
  read(event: Anthropic.RawMessageStreamEvent): readonly ModelPart[];
  /** Whether the answer came to its end. */
  readonly complete: boolean;
  /** How many blocks of other kinds were left out. */
  readonly skippedBlocks: number;
}

type OpenBlock =
  | { readonly block: "text" }
  | { readonly block: "thinking"; readonly redacted: boolean; signature: string }
  | { readonly block: "tool_use"; input: string; readonly given: unknown };

const none: readonly ModelPart[] = [];
const encoder = new TextEncoder();
const noUsage: ModelUsage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };

export function createEventReader(readToolName: (apiName: string) => string): EventReader {
  const open = new Map<number, OpenBlock & { readonly index: number }>();
  let usage = noUsage;
  let usageDue = false;
  let nextIndex = 0;
  let stopped = false;
  let complete = false;
  let skippedBlocks = 0;

  const takeUsage = (): readonly ModelPart[] => {
    if (!usageDue) return none;
    usageDue = false;
    return [{ kind: "usage", ...usage }];
  };

  const start = (event: Anthropic.RawContentBlockStartEvent): readonly ModelPart[] => {
    const opened = openBlock(event.content_block);
    if (opened === undefined) {
      skippedBlocks += 1;
      return none;
    }
    const index = nextIndex++;
    open.set(event.index, { ...opened, index });
    return [...takeUsage(), ...startParts(event.content_block, index, readToolName)];
  };

  const delta = ({ index: apiIndex, delta: change }: Anthropic.RawContentBlockDeltaEvent): readonly ModelPart[] => {
    const block = open.get(apiIndex);
    if (block === undefined) return none;
    switch (change.type) {
      case "text_delta":
        return change.text === "" ? none : [{ kind: "text", index: block.index, text: change.text }];
      case "thinking_delta":
        return change.thinking === "" ? none : [{ kind: "thinking", index: block.index, text: change.thinking }];
      case "signature_delta":
        if (block.block === "thinking") block.signature += change.signature;
        return none;
      case "input_json_delta":
        if (block.block === "tool_use" && block.input.length <= longestInputChars) block.input += change.partial_json;
        return none;
      default:
        return none;
    }
  };

  const stop = (apiIndex: number): readonly ModelPart[] => {
    const block = open.get(apiIndex);
    if (block === undefined) return none;
    open.delete(apiIndex);
    return [stopPart(block)];
  };

  return {
    get complete() {
      return complete;
    },
    get skippedBlocks() {
      return skippedBlocks;
    },
    read(event) {
      switch (event.type) {
        case "content_block_delta":
          return delta(event);
        case "content_block_start":
          return start(event);
        case "content_block_stop":
          return stop(event.index);
        case "message_start":
          usage = addUsage(usage, event.message.usage);
          usageDue = true;
          return none;
        case "message_delta": {
          usage = addUsage(usage, event.usage);
          usageDue = true;
          const reason = event.delta.stop_reason;
          if (reason === null) return none;
          stopped = true;
          return [...takeUsage(), stopReasonPart(reason, event.delta.stop_details?.explanation ?? "")];
        }
        case "message_stop":
          complete = stopped;
          return none;
        default:
          // The API may add kinds of events; none of them can hold what was asked for.
          return none;
      }
    },
  };
}

function openBlock(content: Anthropic.ContentBlock): OpenBlock | undefined {
  switch (content.type) {
    case "text":
      return { block: "text" };
    case "thinking":
      return { block: "thinking", redacted: false, signature: content.signature };
    case "redacted_thinking":
      return { block: "thinking", redacted: true, signature: content.data };
    case "tool_use":
      return { block: "tool_use", input: "", given: content.input };
    default:
      return undefined;
  }
}

function startParts(
  content: Anthropic.ContentBlock,
  index: number,
  readToolName: (name: string) => string,
): ModelPart[] {
  switch (content.type) {
    case "tool_use":
      return [{ kind: "block-start", index, block: "tool_use", callId: content.id, tool: readToolName(content.name) }];
    case "text":
      return [{ kind: "block-start", index, block: "text" }, ...textPart("text", index, content.text)];
    case "thinking":
      return [{ kind: "block-start", index, block: "thinking" }, ...textPart("thinking", index, content.thinking)];
    default:
      return [{ kind: "block-start", index, block: "thinking" }];
  }
}

function textPart(kind: "text" | "thinking", index: number, text: string): ModelPart[] {
  return text === "" ? [] : [{ kind, index, text }];
}

function stopPart(block: OpenBlock & { readonly index: number }): ModelBlockStop {
  const { index } = block;
  switch (block.block) {
    case "text":
      return { kind: "block-stop", index, block: "text" };
    case "thinking": {
      const { redacted } = block;
      return { kind: "block-stop", index, block: "thinking", signature: encoder.encode(block.signature), redacted };
    }
    case "tool_use":
      return { kind: "block-stop", index, block: "tool_use", ...parseInput(block.input, block.given) };
  }
}

/** A tool without arguments sends no JSON at all; its input stands in the start event. */
function parseInput(json: string, given: unknown): { arguments: JsonObject; problem: string | undefined } {
  if (json.length > longestInputChars) {
    return { arguments: {}, problem: `The arguments are longer than ${longestInputChars} characters.` };
  }
  const value = json === "" ? (given as JsonValue) : tryParse(json);
  if (value === undefined) return { arguments: {}, problem: "The arguments are not valid JSON; were they cut short?" };
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { arguments: {}, problem: "The arguments are not a JSON object." };
  }
  return { arguments: value, problem: undefined };
}

function tryParse(json: string): JsonValue | undefined {
  try {
    return JSON.parse(json) as JsonValue;
  } catch {
    return undefined;
  }
}

function stopReasonPart(reason: string, explanation: string): ModelPart {
  const known: Readonly<Record<string, ModelStopReason>> = {
    end_turn: "end",
    stop_sequence: "end",
    tool_use: "tool_use",
    max_tokens: "max_tokens",
    refusal: "refusal",
    model_context_window_exceeded: "context_full",
    pause_turn: "pause",
  };
  const ours = known[reason];
  // A reason that we don't know ends the answer all the same; the detail says which it was.
  return { kind: "stop", reason: ours ?? "end", detail: ours === undefined ? reason : explanation };
}

/** Counts are cumulative; what an event leaves out keeps its value. */
function addUsage(
  usage: ModelUsage,
  counts: {
    readonly input_tokens?: number | null;
    readonly output_tokens?: number | null;
    readonly cache_read_input_tokens?: number | null;
    readonly cache_creation_input_tokens?: number | null;
  },
): ModelUsage {
  return {
    inputTokens: counts.input_tokens ?? usage.inputTokens,
    outputTokens: counts.output_tokens ?? usage.outputTokens,
    cacheReadTokens: counts.cache_read_input_tokens ?? usage.cacheReadTokens,
    cacheWriteTokens: counts.cache_creation_input_tokens ?? usage.cacheWriteTokens,
  };
}
