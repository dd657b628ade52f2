/**
 * Bounds every call (L7): a unary call by its deadline, a stream by the time to its first message and by the time without a
 * message in either direction. An RPC's deadline never bounds a run. Calls that came through the port end when the process
 * drains. All of them end also when the handler hears no signal.
 */
import type {
  ConnectError,
  Interceptor,
  StreamRequest,
  StreamResponse,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import { Scope } from "../../../../gen/atoll/auth/v1/options_pb.ts";
import type { Clock, Timer } from "../../clock.ts";
import { ErrorReason, failure } from "../../errors.ts";
import { anonymousFirstMessageMs, anonymousStreamMessages } from "../admission/anonymous-calls.ts";
import { type Exchange, exchangeKey } from "../admission/exchange.ts";
import type { Draining } from "./draining.ts";
import { ruleOf } from "./method-rule.ts";

type Messages = StreamResponse["message"];
type Answer = Messages extends AsyncIterable<infer Message> ? Message : never;

/** @param streamIdleTimeoutMs Milliseconds that a stream may stay silent; signs of life count. Default 900 000. */
export function createDeadlineInterceptor(
  clock: Clock,
  streamIdleTimeoutMs: number,
  draining: Draining | undefined,
): Interceptor {
  return (next) => async (request) => {
    const exchange = request.contextValues.get(exchangeKey);
    // What this process asks of itself ends with the part that asks.
    const ending = exchange === undefined ? undefined : draining;
    if (request.stream) {
      const idle = new IdleBound(clock, streamIdleTimeoutMs, exchange, ending);
      return idle.bound(request, next as (request: StreamRequest) => Promise<StreamResponse>);
    }
    const { maxTimeoutMs } = ruleOf(request.method);
    if (maxTimeoutMs === undefined) return next(request);
    return boundUnary(request, next as (request: UnaryRequest) => Promise<UnaryResponse>, {
      clock,
      maxTimeoutMs,
      ending,
    });
  };
}

async function boundUnary(
  request: UnaryRequest,
  next: (request: UnaryRequest) => Promise<UnaryResponse>,
  {
    clock,
    maxTimeoutMs,
    ending,
  }: { readonly clock: Clock; readonly maxTimeoutMs: number; readonly ending: Draining | undefined },
): Promise<UnaryResponse> {
  const deadline = new AbortController();
  // By hand: AbortSignal.any costs more than the rest of this, and its garbage outlives the call.
  const onLeft = (): void => deadline.abort(request.signal.reason);
  request.signal.throwIfAborted();
  request.signal.addEventListener("abort", onLeft, { once: true });
  let timer: Timer | undefined;
  let forget: (() => void) | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      const end = (error: ConnectError): void => {
        deadline.abort(error);
        reject(error);
      };
      timer = clock.setTimer(maxTimeoutMs, () =>
        end(tooLong(`the call took longer than ${maxTimeoutMs} ms`, maxTimeoutMs)),
      );
      forget = ending?.watch("unary", end);
    });
    return await Promise.race([next({ ...request, signal: deadline.signal }), late]);
  } finally {
    timer?.cancel();
    forget?.();
    request.signal.removeEventListener("abort", onLeft);
  }
}

/** One stream's time to its first message and without a message. */
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
  readonly #exchange: Exchange | undefined;
  readonly #ending: Draining | undefined;
  #firstTimer: Timer | undefined;
  #forget: (() => void) | undefined;

  constructor(clock: Clock, timeoutMs: number, exchange: Exchange | undefined, ending: Draining | undefined) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#lastMs = clock.monotonicMs();
    this.#exchange = exchange;
    this.#ending = ending;
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
    this.#forget = this.#ending?.watch("stream", (error) => this.#end(error));
    this.#awaitFirst(request);
    const isPublic = ruleOf(request.method).scope === Scope.PUBLIC;
    const message = isPublic ? this.#chargeEach(request.message) : request.message;
    try {
      const response = await next({ ...request, signal, message: this.#notice(message) });
      return { ...response, message: this.#endWhenIdle(response.message) };
    } catch (error) {
      this.#stop();
      throw error;
    }
  }

  /** Where only the server streams the listener bounds the body, and the message is there before the handler. */
  #awaitFirst({ method }: StreamRequest): void {
    if (this.#exchange === undefined || method.methodKind === "server_streaming") return;
    const isPublic = ruleOf(method).scope === Scope.PUBLIC;
    const timeoutMs = isPublic ? anonymousFirstMessageMs : this.#exchange.firstMessageTimeoutMs;
    this.#firstTimer = this.#clock.setTimer(timeoutMs, () =>
      this.#end(tooLong(`no first message within ${timeoutMs} ms`, timeoutMs)),
    );
  }

  async *#notice(messages: Messages): AsyncGenerator<Answer> {
    for await (const message of messages) {
      this.#firstTimer?.cancel();
      this.#lastMs = this.#clock.monotonicMs();
      yield message;
    }
    // A caller that says at once that it says nothing has said so.
    this.#firstTimer?.cancel();
  }

  async *#chargeEach(messages: Messages): AsyncGenerator<Answer> {
    let count = 0;
    for await (const message of messages) {
      count += 1;
      if (count > anonymousStreamMessages || this.#exchange?.charge(messageCostBytes) === false) {
        const limit = `${anonymousStreamMessages} messages of a public stream`;
        throw failure(ErrorReason.LIMIT_EXCEEDED, `too many messages on one stream: at most ${limit}`, {
          metadata: { limit },
          retryAfterMs: 1_000,
        });
      }
      yield message;
    }
  }

  /** Ends the stream also when its handler hears no signal. */
  #end(error: ConnectError): void {
    this.#control.abort(error);
    this.#onExpired?.(error);
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
    this.#control.signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Answer>>();
    this.#onExpired = reject;
    answers.next().then(resolve, reject);
    return promise;
  }

  #stop(): void {
    this.#hasEnded = true;
    this.#timer?.cancel();
    this.#firstTimer?.cancel();
    this.#forget?.();
  }

  #watch(inMs: number): void {
    if (this.#hasEnded) return;
    this.#timer = this.#clock.setTimer(inMs, () => {
      const silentMs = this.#clock.monotonicMs() - this.#lastMs;
      if (silentMs < this.#timeoutMs) return this.#watch(this.#timeoutMs - silentMs);
      this.#end(tooLong(`no message for ${this.#timeoutMs} ms`, this.#timeoutMs));
    });
  }
}

/** What one message of a public stream costs its address, in bytes of its allowance: an answer to it may be larger. */
const messageCostBytes = 4_096;

function tooLong(message: string, timeoutMs: number): ConnectError {
  return failure(ErrorReason.DEADLINE_EXCEEDED, message, { metadata: { timeout_ms: String(timeoutMs) } });
}
