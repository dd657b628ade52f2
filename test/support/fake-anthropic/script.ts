/** What the fake API is told to answer. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { AnswerEvent, ApiEvent } from "./answers/api-event.ts";

export type FakeBlock =
  | { readonly type: "text"; readonly text: string }
  /** Its signature is made from its text, unless it is given, and checked when it comes back. */
  | { readonly type: "thinking"; readonly thinking: string; readonly signature?: string }
  | { readonly type: "redacted_thinking"; readonly data: string }
  | {
      readonly type: "tool_use";
      /** Default: a fresh one. */
      readonly id?: string;
      /** The API's name, for example `filesystem__read_file`. */
      readonly name: string;
      readonly input: JsonObject;
    };

/** What breaks an answer after this many deltas (text, thinking and input pieces all count). */
export type FakeBreak =
  /** The socket is destroyed. */
  | { readonly kind: "cut"; readonly afterDeltas: number }
  /** The answer ends cleanly, but too early. */
  | { readonly kind: "end"; readonly afterDeltas: number }
  /** Nothing more comes until the client or `close()` ends it. */
  | { readonly kind: "stall"; readonly afterDeltas: number }
  /** An `error` event, as the API sends it in mid-stream. */
  | { readonly kind: "error"; readonly afterDeltas: number; readonly type: string; readonly message: string };

export type FakeReply =
  | {
      readonly kind: "answer";
      readonly blocks: readonly FakeBlock[];
      /** Default: `tool_use` when a block is one, else `end_turn`. */
      readonly stopReason?: string;
      readonly usage?: Partial<FakeUsage>;
      /** Default: the server's. */
      readonly tokenDelayMs?: number;
      readonly break?: FakeBreak;
      /** Changes the events in front of the wire: leaves out usage, mixes blocks, repeats an index. */
      readonly edit?: (events: readonly AnswerEvent[]) => readonly AnswerEvent[];
      /** One event on the wire. Default: as the API frames it. */
      readonly frame?: (data: ApiEvent) => string;
      /** What follows the last event on the wire. */
      readonly trailer?: string;
      /** Whether the connection stays open behind the last event. */
      readonly keepsOpen?: boolean;
    }
  /** Exactly these bytes, whatever they are; each piece goes out alone. */
  | {
      readonly kind: "raw";
      /** Default 200. */
      readonly status?: number;
      /** Default: an event stream's. */
      readonly headers?: Readonly<Record<string, string>>;
      readonly pieces: readonly (string | Uint8Array)[];
      /** What follows them. Default: the answer ends. */
      readonly ending?: "end" | "stall" | "cut";
    }
  /** Text of this many tokens, from chunks that were built beforehand. */
  | { readonly kind: "tokens"; readonly tokens: number; readonly tokenDelayMs?: number }
  | {
      readonly kind: "error";
      readonly status: number;
      /** Default: the API's type for the status. */
      readonly type?: string;
      readonly message?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** The request is read, and nothing is ever answered. */
  | { readonly kind: "silence" }
  /** The socket is destroyed before anything is answered. */
  | { readonly kind: "hangup" };

export interface FakeUsage {
  readonly input_tokens: number;
  readonly cache_creation_input_tokens: number;
  readonly cache_read_input_tokens: number;
}

/** The i-th call gets the i-th reply and the last one is repeated; or a function of the request and its number from 0. */
export type FakeScript = readonly FakeReply[] | ((body: JsonObject, call: number) => FakeReply);

export function text(words: string): FakeReply {
  return { kind: "answer", blocks: [{ type: "text", text: words }] };
}

export function apiError(status: number, more: Omit<Extract<FakeReply, { kind: "error" }>, "kind" | "status"> = {}) {
  return { kind: "error" as const, status, ...more };
}

export function replyOf(script: FakeScript, body: JsonObject, call: number): FakeReply {
  if (typeof script === "function") return script(body, call);
  const reply = script[Math.min(call, script.length - 1)];
  if (reply === undefined) throw new RangeError("a script needs at least one reply");
  return reply;
}
