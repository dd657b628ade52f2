/**
 * Tool calls over a transport: each waits for its answer, its silence and its end.
 *
 * Keeps T1 and F3: how a call ended is told apart without matching text. Keeps L7: a call ends after a silence, and after
 * a time in all. An answer that comes after that is thrown away.
 */
import type { JsonObject } from "@bufbuild/protobuf";
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js";
import type { Clock, Timer } from "../../kernel/clock.ts";
import type { McpCallEnd, McpCallOptions, McpProgress } from "./mcp-connection.ts";
import { type McpTransport, RequestFault } from "./mcp-transport.ts";
import { readAnswer } from "./messages/read-answer.ts";

/** The SDK's own requests count from 0. */
const firstCallId = 2 ** 30;

interface PendingCall {
  readonly end: (end: McpCallEnd) => void;
  readonly onProgress: (progress: McpProgress) => void;
  lastSignMs: number;
}

export class ToolCalls {
  readonly #transport: McpTransport;
  readonly #clock: Clock;
  readonly #pending = new Map<RequestId, PendingCall>();
  #nextId = firstCallId;
  #over: string | undefined;

  constructor(transport: McpTransport, clock: Clock) {
    this.#transport = transport;
    this.#clock = clock;
  }

  /** Never rejects. */
  async call(name: string, args: JsonObject, options: McpCallOptions): Promise<McpCallEnd> {
    if (options.signal.aborted) return { kind: "cancelled" };
    if (this.#over !== undefined) return { kind: "not-sent", problem: this.#over };
    const id = this.#nextId++;
    const { promise, resolve: end } = Promise.withResolvers<McpCallEnd>();
    const call: PendingCall = { end, onProgress: options.onProgress, lastSignMs: this.#clock.monotonicMs() };
    this.#pending.set(id, call);
    const limits = this.#limit(id, call, options);
    const params = { name, arguments: args, _meta: { progressToken: id } };
    this.#transport.send({ jsonrpc: "2.0", id, method: "tools/call", params }).catch((error: unknown) => {
      this.fail(id, error instanceof RequestFault ? error : new RequestFault("lost", String(error)));
    });
    try {
      return await promise;
    } finally {
      limits.stop();
      this.#pending.delete(id);
    }
  }

  /** Takes what is about calls; false when the message is for somebody else. */
  take(message: JSONRPCMessage, request?: RequestId): boolean {
    if (!("method" in message)) return this.#takeAnswer(message);
    if ("id" in message) return false;
    if (message.method === "notifications/progress") return this.#takeProgress(message.params ?? {});
    // Over a shared pipe nobody can tell which call a log message is of.
    if (message.method === "notifications/message") {
      if (request !== undefined) this.sawSign(request);
      else for (const id of this.#pending.keys()) this.sawSign(id);
    }
    return message.method !== "notifications/tools/list_changed";
  }

  /** False when the request is none of the calls. */
  fail(id: RequestId, { kind, message: problem }: RequestFault): boolean {
    this.#pending.get(id)?.end({ kind, problem });
    return isCallId(id);
  }

  /** A sign of life of the call. */
  sawSign(id: RequestId): void {
    const call = this.#pending.get(id);
    if (call !== undefined) call.lastSignMs = this.#clock.monotonicMs();
  }

  /** The connection is over: calls in flight are lost, further ones not sent. */
  close(problem: string): void {
    this.#over = problem;
    for (const call of this.#pending.values()) call.end({ kind: "lost", problem });
  }

  #takeAnswer(message: Exclude<JSONRPCMessage, { method: string }>): boolean {
    const { id } = message;
    if (id === undefined || !isCallId(id)) return false;
    const call = this.#pending.get(id);
    if ("error" in message)
      call?.end({ kind: "rejected", problem: `MCP error ${message.error.code}: ${message.error.message}` });
    else call?.end({ kind: "answered", answer: readAnswer(message.result) });
    return true;
  }

  #takeProgress({ progressToken, progress, total, message }: Readonly<Record<string, unknown>>): boolean {
    const id = Number(progressToken);
    this.sawSign(id);
    this.#pending.get(id)?.onProgress({
      progress: typeof progress === "number" ? progress : 0,
      total: typeof total === "number" ? total : 0,
      message: typeof message === "string" ? message : "",
    });
    return true;
  }

  #limit(id: RequestId, call: PendingCall, options: McpCallOptions): { stop(): void } {
    const { signal, silenceTimeoutMs, maxDurationMs } = options;
    const giveUp = (end: McpCallEnd, reason: string): void => {
      call.end(end);
      const params = { requestId: id, reason };
      this.#transport.send({ jsonrpc: "2.0", method: "notifications/cancelled", params }).catch((error: unknown) => {
        this.#transport.onerror(error instanceof Error ? error : new Error(String(error)));
      });
    };
    const timeOut = (problem: string): void => giveUp({ kind: "timed-out", problem }, "timed out");
    const cancel = (): void => giveUp({ kind: "cancelled" }, "cancelled");
    let silence: Timer;
    const watchSilence = (inMs: number): void => {
      silence = this.#clock.setTimer(inMs, () => {
        const leftMs = call.lastSignMs + silenceTimeoutMs - this.#clock.monotonicMs();
        if (leftMs > 0) watchSilence(Math.ceil(leftMs));
        else timeOut(`gave no sign of life for ${silenceTimeoutMs} ms`);
      });
    };
    const total = this.#clock.setTimer(maxDurationMs, () => timeOut(`did not answer within ${maxDurationMs} ms`));
    watchSilence(silenceTimeoutMs);
    signal.addEventListener("abort", cancel, { once: true });
    return {
      stop() {
        total.cancel();
        silence.cancel();
        signal.removeEventListener("abort", cancel);
      },
    };
  }
}

function isCallId(id: RequestId): boolean {
  return typeof id === "number" && id >= firstCallId;
}
