/**
 * Bounds every call (L7): a unary call by its deadline, a stream by the time without a message in either direction.
 * An RPC's deadline never bounds a run.
 */
import { Code, ConnectError, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import type { Clock, Timer } from "../clock.ts";
import { ErrorReason, failure } from "../errors.ts";
import { ruleOf } from "./method-rule.ts";

/** @param streamIdleTimeoutMs Milliseconds that a stream may stay silent; signs of life count. Default 900 000. */
export function createDeadlineInterceptor(clock: Clock, streamIdleTimeoutMs: number): Interceptor {
  return (next) => async (request) => {
    const { maxTimeoutMs } = ruleOf(request.method);
    const deadline = new AbortController();
    const signal = AbortSignal.any([request.signal, deadline.signal]);
    if (request.stream) {
      return boundIdle(next({ ...request, message: request.message, signal }), deadline);
    }
    if (maxTimeoutMs === undefined) return next(request);
    const expired = failure(ErrorReason.DEADLINE_EXCEEDED, `the call took longer than ${maxTimeoutMs} ms`, {
      metadata: { timeout_ms: String(maxTimeoutMs) },
    });
    let timer: Timer | undefined;
    try {
      const late = new Promise<never>((_, reject) => {
        timer = clock.setTimer(maxTimeoutMs, () => {
          deadline.abort(expired);
          reject(expired);
        });
      });
      return await Promise.race([next({ ...request, signal }), late]);
    } finally {
      timer?.cancel();
    }

    async function boundIdle(
      pending: ReturnType<typeof next>,
      controller: AbortController,
    ): Promise<Awaited<ReturnType<typeof next>>> {
      const response = await pending;
      if (!response.stream) return response;
      return { ...response, message: endWhenIdle(response, controller, request.signal) };
    }

    async function* endWhenIdle(
      response: StreamResponse,
      controller: AbortController,
      aborted: AbortSignal,
    ): StreamResponse["message"] {
      let lastMs = clock.monotonicMs();
      let idle: Timer | undefined;
      const watch = (inMs: number): void => {
        idle = clock.setTimer(inMs, () => {
          const silentMs = clock.monotonicMs() - lastMs;
          if (silentMs < streamIdleTimeoutMs) return watch(streamIdleTimeoutMs - silentMs);
          controller.abort(new ConnectError(`no message for ${streamIdleTimeoutMs} ms`, Code.DeadlineExceeded));
        });
      };
      const stopWatching = (): void => idle?.cancel();
      // A caller that goes away in mid-stream may never ask for the next message: then nothing below runs any more.
      aborted.addEventListener("abort", stopWatching, { once: true });
      if (!aborted.aborted) watch(streamIdleTimeoutMs);
      try {
        for await (const message of response.message) {
          lastMs = clock.monotonicMs();
          yield message;
        }
      } finally {
        aborted.removeEventListener("abort", stopWatching);
        stopWatching();
      }
    }
  };
}
