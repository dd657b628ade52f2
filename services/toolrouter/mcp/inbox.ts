/**
 * What a transport does with what its server sends: count it, read it, and tell answers from the rest.
 *
 * Keeps FA8 and F3: an answer that is too long or can't be read ends its own request alone. Whose it is stands at its
 * ends (`findAnswered`), or it came in the response to that request, or only one request is in flight and none was given
 * up of late. Else nobody can know: the log says so, and that request ends by its own timeout.
 */
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js";
import type { Clock } from "../../kernel/clock.ts";
import { escapeHidden } from "../escape-hidden.ts";
import { InboundMeter } from "./inbound-meter.ts";
import type { LongLine } from "./line-splitter.ts";
import { type McpTransport, maxMessageBytes, RequestFault } from "./mcp-transport.ts";
import { findAnswered, mayBeAnswer, type Received, readMessages } from "./messages/read-message.ts";

const shownNoiseLength = 200;
const maxReportsPerSecond = 20;
/** How long a request that was given up may still be answered. */
const lateAnswerMs = 60_000;

type Listener = Pick<McpTransport, "onmessage" | "onfault" | "onerror">;

export class Inbox {
  /** Whoever reads counts the bytes; messages are counted here. */
  readonly meter: InboundMeter;
  readonly #listener: Listener;
  readonly #onNoise: (text: string) => void;
  readonly #clock: Clock;
  readonly #inFlight = new Set<RequestId>();
  #lastGivenUpMs = Number.NEGATIVE_INFINITY;
  #reportsSinceMs = Number.NEGATIVE_INFINITY;
  #reports = 0;

  /** `onNoise` gets what is no message at all, cut and escaped. */
  constructor(listener: Listener, clock: Clock, onNoise: (text: string) => void = () => undefined) {
    this.meter = new InboundMeter(clock);
    this.#listener = listener;
    this.#clock = clock;
    this.#onNoise = onNoise;
  }

  /** Is told of each message before it is sent. */
  expect(message: JSONRPCMessage): void {
    if (!("method" in message)) return;
    if ("id" in message) this.#inFlight.add(message.id);
    if (message.method !== "notifications/cancelled") return;
    const { requestId } = message.params ?? {};
    if (typeof requestId !== "number" && typeof requestId !== "string") return;
    this.#lastGivenUpMs = this.#clock.monotonicMs();
    this.#inFlight.delete(requestId);
  }

  isInFlight(id: RequestId): boolean {
    return this.#inFlight.has(id);
  }

  /** The request was not sent after all. */
  drop(id: RequestId): void {
    this.#inFlight.delete(id);
  }

  /** Ends a request without its answer; nothing happens when it has ended. */
  fail(id: RequestId, fault: RequestFault): void {
    if (this.#inFlight.delete(id)) this.#listener.onfault(id, fault);
  }

  /** `bytes` are what the meter counted for it; `request` is the one in whose response it came. */
  receive(text: string, bytes: number, request?: RequestId): void {
    this.meter.countMessage();
    if (this.meter.problem !== undefined || text.trim() === "") return;
    readMessages(text, this.#inFlight).forEach((received, index) => {
      if (index > 0) this.meter.countMessage();
      this.#take(received, text, index === 0 ? bytes : 0, request);
    });
  }

  receiveLong({ bytes, head, tail }: LongLine, request?: RequestId): void {
    this.meter.countMessage();
    const problem = `it is longer than ${maxMessageBytes} bytes`;
    const mayAnswer = mayBeAnswer(head);
    const id = findAnswered(head, tail, this.#inFlight) ?? (mayAnswer ? this.#soleRequest(request) : undefined);
    if (id !== undefined) this.#answerWith(id, bytes, () => this.fail(id, new RequestFault("unreadable", problem)));
    else
      this.#report(
        new Error(`a message of ${bytes} bytes was thrown away: ${escapeHidden(head.slice(0, shownNoiseLength))}`),
      );
  }

  #take(received: Received, text: string, bytes: number, request: RequestId | undefined): void {
    if (received.kind === "noise") this.#noteNoise(text);
    else if (received.kind === "unreadable") {
      const id = received.id ?? this.#soleRequest(request);
      const { problem } = received;
      if (id === undefined) this.#noteNoise(text);
      else this.#answerWith(id, bytes, () => this.fail(id, new RequestFault("unreadable", problem)));
    } else if ("method" in received.message) this.#listener.onmessage(received.message, request);
    else {
      const { message } = received;
      // Who could not read a request does not know its id, and invents one.
      const isOfResponse = "error" in message && request !== undefined;
      const id = isOfResponse ? request : (message.id ?? this.#soleRequest(request));
      if (id === undefined) this.#noteNoise(text);
      else {
        this.#answerWith(id, bytes, () => {
          this.#inFlight.delete(id);
          this.#listener.onmessage({ ...message, id });
        });
      }
    }
  }

  #answerWith(id: RequestId, bytes: number, end: () => void): void {
    if (!this.#inFlight.has(id)) {
      this.#report(new Error(`it answered a request that waits no more, or never was: ${String(id).slice(0, 64)}`));
      return;
    }
    this.meter.forgive(bytes);
    end();
  }

  #soleRequest(request: RequestId | undefined): RequestId | undefined {
    if (request !== undefined) return request;
    if (this.#clock.monotonicMs() - this.#lastGivenUpMs < lateAnswerMs) return undefined;
    return this.#inFlight.size === 1 ? this.#inFlight.values().next().value : undefined;
  }

  /** L7: a server that sends much of what is worth a report costs no more than a few reports a second. */
  #report(error: Error): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#reportsSinceMs >= 1000) {
      this.#reportsSinceMs = nowMs;
      this.#reports = 0;
    }
    this.#reports++;
    if (this.#reports <= maxReportsPerSecond) this.#listener.onerror(error);
  }

  #noteNoise(text: string): void {
    const shown = escapeHidden(text.slice(0, shownNoiseLength));
    this.#onNoise(shown);
    this.#report(new Error(`it sent something that is no JSON-RPC message: ${shown}`));
  }
}
