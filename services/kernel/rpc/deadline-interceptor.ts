/**
 * Bounds every call (L7): a unary call by its deadline, a stream by the time without a message in either direction.
 * An RPC's deadline never bounds a run. Both end also when the handler hears no signal.
 */
import type {
  ConnectError,
  Interceptor,
  StreamRequest,
  StreamResponse,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import type { Clock, Timer } from "../clock.ts";
import { ErrorReason, failure } from "../errors.ts";
import { ruleOf } from "./method-rule.ts";

type Messages = StreamResponse["message"];
type Answer = Messages extends AsyncIterable<infer Message> ? Message : never;

/** @param streamIdleTimeoutMs Milliseconds that a stream may stay silent; signs of life count. Default 900 000. */
export function createDeadlineInterceptor(clock: Clock, streamIdleTimeoutMs: number): Interceptor {
  return (next) => async (request) => {
    if (request.stream) {
      const idle = new IdleBound(clock, streamIdleTimeoutMs);
      return idle.bound(request, next as (request: StreamRequest) => Promise<StreamResponse>);
    }
    const { maxTimeoutMs } = ruleOf(request.method);
    if (maxTimeoutMs === undefined) return next(request);
    return boundUnary(request, next as (request: UnaryRequest) => Promise<UnaryResponse>, clock, maxTimeoutMs);
  };
}

async function boundUnary(
  request: UnaryRequest,
  next: (request: UnaryRequest) => Promise<UnaryResponse>,
  clock: Clock,
  maxTimeoutMs: number,
): Promise<UnaryResponse> {
  const deadline = new AbortController();
  // By hand: AbortSignal.any costs more than the rest of this, and its garbage outlives the call.
  const onLeft = (): void => deadline.abort(request.signal.reason);
  request.signal.throwIfAborted();
  request.signal.addEventListener("abort", onLeft, { once: true });
  let timer: Timer | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      timer = clock.setTimer(maxTimeoutMs, () => {
        const expired = tooLong(`the call took longer than ${maxTimeoutMs} ms`, maxTimeoutMs);
        deadline.abort(expired);
        reject(expired);
      });
    });
    return await Promise.race([next({ ...request, signal: deadline.signal }), late]);
  } finally {
    timer?.cancel();
    request.signal.removeEventListener("abort", onLeft);
  }
}

/** One stream's time without a message. */
class IdleBound {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #control = new AbortController();
  #lastMs: number;
  #timer: Timer | undefined;
  #hasEnded = false;
  #answers: AsyncIterator<Answer> | undefined;
  /** Ends the wait for the next answer. */
  #onExpired: ((error: ConnectError) => void) | undefined;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#lastMs = clock.monotonicMs();
  }

  async bound(
    request: StreamRequest,
    next: (request: StreamRequest) => Promise<StreamResponse>,
  ): Promise<StreamResponse> {
    // A caller that left before the call began: no abort would ever be heard.
    request.signal.throwIfAborted();
    const signal = AbortSignal.any([request.signal, this.#control.signal]);
    // A caller that leaves in mid-stream may never ask for the next answer: then no `finally` below runs by itself, nor
    // one of the handler.
    const onLeft = (): void => {
      this.#stop();
      this.#answers?.return?.().catch(() => undefined);
    };
    request.signal.addEventListener("abort", onLeft, { once: true });
    const response = await next({ ...request, signal, message: this.#notice(request.message) });
    return { ...response, message: this.#endWhenIdle(response.message) };
  }

  async *#notice(messages: Messages): AsyncGenerator<Answer> {
    for await (const message of messages) {
      this.#lastMs = this.#clock.monotonicMs();
      yield message;
    }
  }

  async *#endWhenIdle(messages: Messages): AsyncGenerator<Answer> {
    const answers = messages[Symbol.asyncIterator]();
    this.#answers = answers;
    this.#lastMs = this.#clock.monotonicMs();
    this.#watch(this.#timeoutMs);
    try {
      for (;;) {
        const answer = await this.#nextOf(answers);
        this.#lastMs = this.#clock.monotonicMs();
        if (answer.done === true) return;
        yield answer.value;
      }
    } finally {
      this.#stop();
      const left = answers.return?.();
      // A handler that hears no signal would be waited for without end.
      if (this.#control.signal.aborted) left?.catch(() => undefined);
      else await left;
    }
  }

  /** Not a race with one promise for all: that one would hold on to every answer of a long stream. */
  #nextOf(answers: AsyncIterator<Answer>): Promise<IteratorResult<Answer>> {
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Answer>>();
    this.#onExpired = reject;
    answers.next().then(resolve, reject);
    return promise;
  }

  #stop(): void {
    this.#hasEnded = true;
    this.#timer?.cancel();
  }

  #watch(inMs: number): void {
    if (this.#hasEnded) return;
    this.#timer = this.#clock.setTimer(inMs, () => {
      const silentMs = this.#clock.monotonicMs() - this.#lastMs;
      if (silentMs < this.#timeoutMs) return this.#watch(this.#timeoutMs - silentMs);
      const expired = tooLong(`no message for ${this.#timeoutMs} ms`, this.#timeoutMs);
      this.#control.abort(expired);
      this.#onExpired?.(expired);
    });
  }
}

function tooLong(message: string, timeoutMs: number): ConnectError {
  return failure(ErrorReason.DEADLINE_EXCEEDED, message, { metadata: { timeout_ms: String(timeoutMs) } });
}
