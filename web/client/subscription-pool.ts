/**
 * Any number of subscriptions over one stream (SubscribeSessions): a browser has six connections to one address, whatever
 * the number of its tabs. A reader of the pool sees what it would see of Subscribe.
 *
 * When the set of subscriptions changes, the stream is opened again with the places that they have reached (S2); those
 * that stay notice nothing. Keeps L7: at most 64 subscriptions, and 64 responses that wait for a reader; one that does
 * not read is ended as broken, and resumes from its own cursor.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import {
  type GatewayService,
  type SubscribeRequest,
  SubscribeRequestSchema,
  type SubscribeResponse,
  SubscribeResponseSchema,
  type SubscribeSessionsResponse,
} from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { toConnectError } from "./mesh-error.ts";

/** What the contract lets one stream have. */
const maxSubscriptions = 64;
const maxWaitingResponses = 64;
/** Subscriptions that come together are opened together. */
const gatherMs = 20;
/** What a reader that left would still have been sent is not worth a new stream at once. */
const leaveMs = 1_000;

export interface PoolCall {
  /** Lets the subscription go. Default: never. */
  readonly signal?: AbortSignal;
  /** Called when the stream that carries the subscription has been answered. */
  readonly onHeader?: () => void;
}

export class SubscriptionPool {
  readonly #client: Pick<Client<typeof GatewayService>, "subscribeSessions">;
  readonly #subscriptions = new Set<Subscription>();
  #stream: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Pick<Client<typeof GatewayService>, "subscribeSessions">) {
    this.#client = client;
  }

  /** How many subscriptions are open. */
  get size(): number {
    return this.#subscriptions.size;
  }

  /** As GatewayService.Subscribe. UNAVAILABLE: the pool is full, or this reader was too slow; both pass. */
  async *subscribe(
    request: MessageInitShape<typeof SubscribeRequestSchema>,
    { signal, onHeader }: PoolCall = {},
  ): AsyncGenerator<SubscribeResponse, void, undefined> {
    if (this.#subscriptions.size >= maxSubscriptions) {
      throw new ConnectError(`${maxSubscriptions} conversations are followed already`, Code.Unavailable);
    }
    const subscription = new Subscription(create(SubscribeRequestSchema, request), onHeader);
    const onAbort = (): void => subscription.end(new ConnectError("let go", Code.Canceled));
    if (signal?.aborted) onAbort();
    signal?.addEventListener("abort", onAbort);
    this.#subscriptions.add(subscription);
    this.#openSoon(gatherMs);
    try {
      yield* subscription.responses();
    } finally {
      signal?.removeEventListener("abort", onAbort);
      subscription.end();
      this.#subscriptions.delete(subscription);
      if (this.#subscriptions.size === 0) this.#open();
      else this.#openSoon(leaveMs);
    }
  }

  #openSoon(delayMs: number): void {
    // What waits longer waits for no more than the next one that does not.
    if (this.#timer !== undefined && delayMs === leaveMs) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), delayMs);
  }

  #open(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#stream?.abort();
    this.#stream = undefined;
    const open = [...this.#subscriptions].filter((subscription) => !subscription.isOver);
    if (open.length === 0) return;
    const stream = new AbortController();
    this.#stream = stream;
    void this.#read(open, stream.signal);
  }

  async #read(subscriptions: readonly Subscription[], signal: AbortSignal): Promise<void> {
    for (const subscription of subscriptions) subscription.beginStream();
    const request = { subscriptions: subscriptions.map((subscription) => subscription.request) };
    const onHeader = (): void => {
      for (const subscription of subscriptions) subscription.onHeader();
    };
    let broken: ConnectError | undefined;
    try {
      for await (const response of this.#client.subscribeSessions(request, { signal, onHeader })) {
        if (signal.aborted) return;
        subscriptions[response.subscription]?.take(response);
      }
    } catch (error) {
      broken = ConnectError.from(error);
    }
    // Another stream carries them on.
    if (signal.aborted) return;
    for (const subscription of subscriptions) subscription.end(broken);
  }
}

class Subscription {
  /** Where it stands. */
  request: SubscribeRequest;
  readonly #tellHeader: (() => void) | undefined;
  readonly #waiting: SubscribeResponse[] = [];
  #isFirstOfStream = true;
  /** Whether the reader was given events, by this stream or an earlier one. */
  #hasGiven = false;
  #over: { readonly error: ConnectError | undefined } | undefined;
  #changed = Promise.withResolvers<void>();
  #isAnswered = false;

  constructor(request: SubscribeRequest, onHeader: (() => void) | undefined) {
    this.request = request;
    this.#tellHeader = onHeader;
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  beginStream(): void {
    this.#isFirstOfStream = true;
  }

  onHeader(): void {
    if (this.#isAnswered || this.isOver) return;
    this.#isAnswered = true;
    this.#tellHeader?.();
  }

  take(response: SubscribeSessionsResponse): void {
    if (this.isOver) return;
    if (response.ended) this.end(response.error && toConnectError(response.error));
    else if (this.#beginsBefore(response.events[0])) {
      this.end(new ConnectError("the stream was opened again inside a merged delta", Code.Unavailable));
    } else if (this.#waiting.length >= maxWaitingResponses) {
      this.end(new ConnectError("this reader does not keep up", Code.Unavailable));
    } else this.#keep(response);
  }

  /**
   * A delta that was merged meanwhile may begin before the place that an earlier stream had reached: only the reader's
   * fold can resume there, and it does so on a stream of its own.
   */
  #beginsBefore(first: Event | undefined): boolean {
    if (first === undefined || !this.#isFirstOfStream || !this.#hasGiven) return false;
    const { afterSeq } = this.request;
    return first.firstSeq <= afterSeq && first.seq > afterSeq;
  }

  #keep({ events, logId, headSeq }: SubscribeSessionsResponse): void {
    const last = events.at(-1);
    if (last !== undefined) {
      this.#isFirstOfStream = false;
      this.#hasGiven = true;
      this.request = { ...this.request, afterSeq: last.seq, logId: logId || this.request.logId };
    }
    this.#waiting.push(create(SubscribeResponseSchema, { events, logId, headSeq }));
    this.#changed.resolve();
  }

  /** What waits is still given out. */
  end(error?: ConnectError): void {
    this.#over ??= { error };
    this.#changed.resolve();
  }

  async *responses(): AsyncGenerator<SubscribeResponse, void, undefined> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) yield next;
      else if (this.#over !== undefined) {
        if (this.#over.error !== undefined) throw this.#over.error;
        return;
      } else {
        this.#changed = Promise.withResolvers();
        await this.#changed.promise;
      }
    }
  }
}
