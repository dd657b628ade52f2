/**
 * The port that every language model is called through: a conversation in, a stream of parts out.
 *
 * Contract, for each driver:
 * - It keeps no state between calls. Everything that it needs stands in the request, and the request is never changed,
 *   but for `mending`, which is counted down.
 * - It honours `signal` within 100 ms, also while it waits to retry: the iterator then throws `signal.reason`.
 *   Leaving the iteration early (`break`) frees the connection as well.
 * - Every other error is a `failure`: MODEL_UNAVAILABLE (try again later; `retryAfterMs` when the maker said so, and
 *   metadata `retry: "false"` when it said that trying again does not help), MODEL_REFUSED (the request, the key or the
 *   account; trying again does not help) or MODEL_NOT_FOUND.
 * - A failed call is never made again by the driver: the loop has one budget of retries a step. A history or a tool that
 *   the maker refuses is mended and asked for again by the driver, a bounded number of times; parts between the blocks say
 *   what was mended.
 * - Parts of one block come in order: start, deltas, stop. Blocks never overlap, each one ends, and their indexes count up
 *   from 0. Texts have no half surrogate pair; counts are whole numbers from 0 to 2^53−1.
 *   A stream that ends without throwing ends with exactly one `stop`, preceded by at least one `usage`.
 */
import type { JsonObject } from "@bufbuild/protobuf";

export interface Model {
  /** How often a step may call it again after a failure that may pass. */
  readonly maxRetries: number;
  /** Calls the model once. Nothing happens before the first `next()`. */
  stream(request: ModelRequest): AsyncIterable<ModelPart>;
}

export interface ModelRequest {
  /** The name, as its maker writes it. */
  readonly model: string;
  /** The system prompt; empty for none. */
  readonly instructions: string;
  /**
   * The conversation, oldest first. It need not be tidy: neighbours of one role, calls without a result and results
   * without a call are the driver's to repair.
   */
  readonly messages: readonly ModelMessage[];
  readonly tools: readonly ModelTool[];
  /** The most tokens of the answer, reasoning not counted. At least 1. */
  readonly maxOutputTokens: number;
  /** Tokens that the model may spend on reasoning; 0 for none, where the model allows that. */
  readonly thinkingTokens: number;
  readonly signal: AbortSignal;
  /** The step's requests that mend what the maker refused; the driver counts them down, call after call. */
  readonly mending: { left: number };
  /** W3C trace id, for log lines. */
  readonly traceId: string;
}

export interface ModelMessage {
  readonly role: "user" | "assistant";
  readonly content: readonly ModelBlock[];
}

export type ModelBlock = TextBlock | ImageBlock | ThinkingBlock | ToolUseBlock | ToolResultBlock;

export interface TextBlock {
  readonly type: "text";
  readonly text: string;
}

export interface ImageBlock {
  readonly type: "image";
  /** For example `image/png`. */
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** Reasoning. It goes back to the model exactly as it came, also when its text is empty: makers bind it by signature. */
export interface ThinkingBlock {
  readonly type: "thinking";
  /** Empty when the maker hides it. */
  readonly text: string;
  /** What the maker needs to know its own block again; empty for a model that signs nothing. */
  readonly signature: Uint8Array;
  /** Whether the block is nothing but the signature. */
  readonly redacted: boolean;
}

export interface ToolUseBlock {
  readonly type: "tool_use";
  readonly callId: string;
  /** `server.tool`. */
  readonly tool: string;
  readonly arguments: JsonObject;
}

export interface ToolResultBlock {
  readonly type: "tool_result";
  readonly callId: string;
  readonly content: readonly (TextBlock | ImageBlock)[];
  readonly isError: boolean;
}

export interface ModelTool {
  /** `server.tool`. */
  readonly name: string;
  readonly description: string;
  /** JSON Schema of an object. */
  readonly inputSchema: JsonObject;
}

export type ModelPart =
  | { readonly kind: "block-start"; readonly index: number; readonly block: "text" | "thinking" }
  | {
      readonly kind: "block-start";
      readonly index: number;
      readonly block: "tool_use";
      /** The model's own id of the call; unique within the answer, not beyond it. */
      readonly callId: string;
      /** `server.tool`, or whatever the model made up: the router refuses what does not exist. */
      readonly tool: string;
    }
  | { readonly kind: "text"; readonly index: number; readonly text: string }
  | { readonly kind: "thinking"; readonly index: number; readonly text: string }
  | ModelBlockStop
  | ModelMended
  /** The maker refused this tool's definition; the call was made without it. */
  | { readonly kind: "tool-left-out" /** `server.tool`. */; readonly tool: string; readonly reason: string }
  | ({ readonly kind: "usage" } & ModelUsage)
  | {
      readonly kind: "stop";
      readonly reason: ModelStopReason /** For people; empty mostly. */;
      readonly detail: string;
    };

/** Requests of a step that are made to mend what the maker refused, beyond those that its retries make. */
export const mostMendings = 8;

/** What stands in place of a block. */
export interface Mend {
  /** The block, as `blockKey` (mend-messages.ts) names it. */
  readonly block: string;
  /** What the model reads in its place, or where its text was cut. */
  readonly note: string;
  /** Bytes of its text that stay, two thirds of them from its beginning; 0 when all of it is left out. */
  readonly keepBytes: number;
}

/** The maker refused the conversation as it was, and took it with these changes. */
export interface ModelMended {
  readonly kind: "mended";
  /** What was refused and why, for people; at most 1 KiB. */
  readonly reason: string;
  /** At most 256. */
  readonly mends: readonly Mend[];
  /** Whether reasoning of earlier answers was left out. */
  readonly withoutThinking: boolean;
}

export type ModelBlockStop =
  | { readonly kind: "block-stop"; readonly index: number; readonly block: "text" }
  | {
      readonly kind: "block-stop";
      readonly index: number;
      readonly block: "thinking";
      readonly signature: Uint8Array;
      readonly redacted: boolean;
    }
  | {
      readonly kind: "block-stop";
      readonly index: number;
      readonly block: "tool_use";
      /** Empty when there is a problem. */
      readonly arguments: JsonObject;
      /** Why the arguments can't be read (cut short, not an object): answer the call with this, don't dispatch it. */
      readonly problem: string | undefined;
    };

/** Token counts of the call so far: each one replaces the one before. */
export interface ModelUsage {
  /** Tokens read, without cached ones. */
  readonly inputTokens: number;
  /** Tokens written, reasoning included. */
  readonly outputTokens: number;
  /** Tokens read from the maker's cache. */
  readonly cacheReadTokens: number;
  /** Tokens written to the maker's cache. */
  readonly cacheWriteTokens: number;
}

/**
 * Why the model stopped: it is done; it waits for tools; `maxOutputTokens` was reached; it won't answer; the context is
 * full; or its maker paused it (call again with the answer so far).
 */
export type ModelStopReason = "end" | "tool_use" | "max_tokens" | "refusal" | "context_full" | "pause";
