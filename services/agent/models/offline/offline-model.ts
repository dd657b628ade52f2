/**
 * The built-in scripted model: what a mesh without a key runs on, and what tests of everything else run on.
 *
 * Deterministic: the same request gives the same parts. It streams word by word and keeps the port's contract, the
 * abort signal included, like a model that thinks.
 */
import { createHash } from "node:crypto";
import { setImmediate as nextTick } from "node:timers/promises";
import type { Clock } from "../../../kernel/clock.ts";
import { ErrorReason, failure } from "../../../kernel/errors.ts";
import { offlineModel } from "../../../kernel/model-names.ts";
import type { Model, ModelPart, ModelRequest } from "../model.ts";
import type { Script, ScriptedCall } from "./script.ts";
import { writeScript } from "./write-script.ts";

export interface OfflineSettings {
  /** Milliseconds between two pieces of an answer; 0 for none. */
  readonly tokenDelayMs: number;
}

/** Without a delay, the event loop still gets its turn after this many words. */
const wordsPerTick = 64;
const noSignature = new Uint8Array(0);

export function createOfflineModel({ tokenDelayMs }: OfflineSettings, { clock }: { readonly clock: Clock }): Model {
  return {
    maxRetries: 0,
    async *stream(request): AsyncGenerator<ModelPart, void, undefined> {
      const { signal } = request;
      signal.throwIfAborted();
      const script = writeScript({ ...request, thinking: request.thinkingTokens > 0 });
      if (script.failure === "unavailable" || script.failure === "refused") throw askedFailure(script.failure);
      let outputTokens = 0;
      const pause = async (): Promise<void> => {
        outputTokens += 1;
        if (tokenDelayMs > 0) await clock.sleep(tokenDelayMs, signal);
        else if (outputTokens % wordsPerTick === 0) await nextTick();
        signal.throwIfAborted();
      };
      const usage = (): ModelPart => ({
        kind: "usage",
        inputTokens: countTokens(request),
        outputTokens,
        cacheReadTokens: 0,
        cacheWriteTokens: 0,
      });
      yield usage();
      let index = 0;
      if (script.thinking !== "") {
        yield { kind: "block-start", index, block: "thinking" };
        for (const text of words(script.thinking)) {
          await pause();
          yield { kind: "thinking", index, text };
        }
        yield { kind: "block-stop", index, block: "thinking", signature: noSignature, redacted: false };
        index += 1;
      }
      const spoken = words(script.text);
      if (spoken.length > 0) {
        yield { kind: "block-start", index, block: "text" };
        for (const text of spoken.slice(0, request.maxOutputTokens)) {
          await pause();
          yield { kind: "text", index, text };
        }
        if (script.failure === "midway") throw askedFailure("unavailable");
        yield { kind: "block-stop", index, block: "text" };
        index += 1;
      }
      const cut = spoken.length > request.maxOutputTokens;
      for (const call of cut ? [] : script.calls) {
        await pause();
        yield* callParts(request, call, index);
        index += 1;
      }
      yield usage();
      yield { kind: "stop", reason: stopReason(script, cut), detail: "" };
    },
  };
}

function* callParts(request: ModelRequest, call: ScriptedCall, index: number): Generator<ModelPart> {
  // Unique beyond the answer as far as a deterministic id can be: other runs have other trace ids.
  const seed = `${request.traceId} ${request.messages.length} ${index}`;
  const callId = `call_${createHash("sha256").update(seed).digest("hex").slice(0, 24)}`;
  yield { kind: "block-start", index, block: "tool_use", callId, tool: call.tool };
  yield { kind: "block-stop", index, block: "tool_use", arguments: call.arguments, problem: undefined };
}

function stopReason(script: Script, cut: boolean): "max_tokens" | "tool_use" | "end" {
  return cut ? "max_tokens" : script.calls.length > 0 ? "tool_use" : "end";
}

function askedFailure(how: "unavailable" | "refused") {
  const reason = how === "refused" ? ErrorReason.MODEL_REFUSED : ErrorReason.MODEL_UNAVAILABLE;
  const metadata = { model: offlineModel, status: how === "refused" ? "400" : "503", problem: "asked for" };
  return failure(reason, "The scripted model fails because the message asked it to (/fail).", { metadata });
}

/** The words of a text with the space that goes before them: joined, they are the text again. */
export function words(text: string): string[] {
  return text.match(/\s*\S+\s*$|\s*\S+/g) ?? (text === "" ? [] : [text]);
}

/** About four characters a token, as a rule of thumb. */
function countTokens(request: ModelRequest): number {
  let characters = request.instructions.length;
  for (const { content } of request.messages) {
    for (const block of content) if (block.type === "text") characters += block.text.length;
  }
  return Math.ceil(characters / 4);
}
