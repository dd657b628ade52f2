/**
 * MCP over Streamable HTTP (MCP 2025-11-25, Transports §Streamable HTTP). Ours, because what became of a request must be known.
 *
 * Keeps T1 and F3: a request that was refused, never left, was answered unreadably or lost its response is told as that; no
 * stream is resumed, and only what was refused is sent again: once, in a new session, when the server has forgotten ours.
 * Each message takes a connection of its own: a kept one that the server closes at the wrong moment would put a call in doubt.
 * Redirects are not followed: headers with credentials go to the configured address and to no other.
 */
import type { IncomingMessage } from "node:http";
import type { JSONRPCMessage, JSONRPCRequest, RequestId } from "@modelcontextprotocol/sdk/types.js";
import type { Clock } from "../../../kernel/clock.ts";
import { Inbox } from "../inbox.ts";
import type { McpTarget } from "../mcp-connection.ts";
import { type McpTransport, maxMessageBytes, RequestFault } from "../mcp-transport.ts";
import { Outbox, outboxFull } from "../outbox.ts";
import { EventStream } from "./event-stream.ts";
import { headerOf, isSuccess, mediaTypeOf, NoConnection, openResponse, readBody } from "./http-exchange.ts";
import { explainRefusal, faultOf, isAnswer, type Refusal, readRefusal, whatOfSession } from "./http-refusal.ts";
import { HttpSession } from "./http-session.ts";
import { followServerStream } from "./server-stream.ts";

/** Notifications and replies have nobody who waits with a timeout. */
const sideTimeoutMs = 10_000;
/** The most of them that may be on their way: each has a connection. */
const maxSideMessages = 256;
const farewellTimeoutMs = 1000;

export class HttpTransport implements McpTransport {
  onclose = (): void => undefined;
  onerror = (_error: Error): void => undefined;
  onmessage = (_message: JSONRPCMessage, _request?: RequestId): void => undefined;
  onfault = (_request: RequestId, _fault: RequestFault): void => undefined;
  onactivity = (_request: RequestId): void => undefined;
  readonly lastWords = "";
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #clock: Clock;
  readonly #over = new AbortController();
  readonly #inbox: Inbox;
  readonly #outbox = new Outbox();
  readonly #session: HttpSession;
  /** What ends the exchange of each request that waits for its answer. */
  readonly #waiting = new Map<RequestId, AbortController>();
  /** Messages that are being sent, and answers that are being read. */
  readonly #work = new Set<Promise<void>>();
  #sideMessages = 0;
  #listening = new AbortController();
  #problem: string | undefined;

  constructor(target: Extract<McpTarget, { kind: "http" }>, clock: Clock) {
    this.#url = new URL(target.url);
    this.#headers = target.headers;
    this.#clock = clock;
    this.#inbox = new Inbox(this, clock);
    this.#session = new HttpSession((text, headers, signal) => this.#post(text, headers, signal), this.#over.signal);
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  setProtocolVersion(version: string): void {
    this.#session.protocolVersion = version;
  }

  async start(): Promise<void> {}

  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#over.signal.aborted) throw new RequestFault("not-sent", this.#problem ?? "the connection is closed");
    await this.#track(this.#send(message));
    if ("method" in message && message.method === "notifications/initialized") this.#listen();
  }

  async close(): Promise<void> {
    if (this.#over.signal.aborted) return;
    const farewell = this.#session.id === undefined ? Promise.resolve() : this.#sayFarewell();
    await this.#end(undefined);
    await farewell;
  }

  async #send(message: JSONRPCMessage): Promise<void> {
    const text = JSON.stringify(message);
    const hasRoom = this.#sideMessages < maxSideMessages && this.#outbox.take(text);
    try {
      if (!hasRoom) throw new RequestFault("not-sent", outboxFull);
      this.#inbox.expect(message);
      if (isRequest(message)) await this.#request(message, text);
      else await this.#tell(message, text);
    } catch (error) {
      const fault = error instanceof RequestFault ? error : new RequestFault("lost", this.#problem ?? messageOf(error));
      // Here, and not by who waits for `send`: a request has its end before the connection has.
      if (isRequest(message)) this.onfault(message.id, fault);
      // Nobody listens there: the server is not running.
      if (!hasRoom || error instanceof NoConnection) void this.#end(fault.message);
      throw fault;
    } finally {
      if (hasRoom) this.#outbox.release(text);
    }
  }

  /** The connection is over when all that is tracked has ended. */
  async #track(work: Promise<void>): Promise<void> {
    this.#work.add(work);
    await work.finally(() => this.#work.delete(work));
  }

  /** `send` is done when the server has taken the request; the answer comes in its own time. */
  async #request(message: JSONRPCRequest, text: string): Promise<void> {
    const { id } = message;
    const abort = new AbortController();
    this.#waiting.set(id, abort);
    try {
      const response = await this.#exchange(message, text, AbortSignal.any([abort.signal, this.#over.signal]));
      if (response !== undefined) void this.#track(this.#readAnswer(response, id));
      else this.#waiting.delete(id);
    } catch (error) {
      this.#waiting.delete(id);
      this.#inbox.drop(id);
      throw error;
    }
  }

  /** The response that has the answer; undefined when the answer came with a refusal. */
  async #exchange(message: JSONRPCRequest, text: string, signal: AbortSignal): Promise<IncomingMessage | undefined> {
    const isFirst = message.method === "initialize";
    const opened = this.#session.generation;
    const response = await this.#post(text, isFirst ? {} : this.#session.headers(), signal);
    if (isSuccess(response)) {
      if (isFirst) this.#session.begin(message, headerOf(response, "mcp-session-id"));
      return response;
    }
    const refusal = await readRefusal(response);
    if (isFirst || !(await this.#session.isForgotten(refusal, message.id, signal)))
      return this.#take(refusal, message.id);
    await this.#session.renew(opened, () => {
      this.#listen();
      // Whoever lists learns what the new session has; else somebody must ask.
      if (message.method === "tools/list") return;
      this.onmessage({ jsonrpc: "2.0", method: "notifications/tools/list_changed" });
    });
    const again = await this.#post(text, this.#session.headers(), signal);
    if (isSuccess(again)) return again;
    const last = await readRefusal(again);
    if (whatOfSession(last, message.id, true) !== "kept") throw new RequestFault("refused", explainRefusal(last));
    return this.#take(last, message.id);
  }

  #take(refusal: Refusal, id: RequestId): undefined {
    if (!isAnswer(refusal, id)) throw faultOf(refusal);
    this.#inbox.receive(refusal.text, 0, id);
  }

  async #readAnswer(response: IncomingMessage, id: RequestId): Promise<void> {
    let fault = new RequestFault("lost", "it ended its response without the answer");
    try {
      if (mediaTypeOf(response) === "text/event-stream") await this.#readEvents(response, id);
      else {
        const body = await readBody(response, () => this.onactivity(id));
        if (body.kind === "too-long")
          fault = new RequestFault("unreadable", `it is longer than ${maxMessageBytes} bytes`);
        else if (body.text.trim() !== "") {
          this.#inbox.receive(body.text, 0, id);
          fault = new RequestFault("unreadable", "it is not the JSON-RPC answer to the request");
        }
      }
    } catch (error) {
      fault = new RequestFault("lost", `its response broke off: ${messageOf(error)}`);
    } finally {
      response.destroy();
      this.#waiting.delete(id);
    }
    if (fault.kind === "lost" && this.#problem !== undefined) fault = new RequestFault("lost", this.#problem);
    this.#inbox.fail(id, fault);
  }

  /** Ends with the stream, or when the request has its answer. */
  async #readEvents(response: IncomingMessage, id?: RequestId): Promise<void> {
    const events = new EventStream(maxMessageBytes);
    const { meter } = this.#inbox;
    for await (const part of response) {
      const chunk = part as Buffer;
      meter.countBytes(chunk.length);
      if (id !== undefined) this.onactivity(id);
      for (const data of events.push(chunk)) {
        if (typeof data === "string") this.#inbox.receive(data, Buffer.byteLength(data), id);
        else this.#inbox.receiveLong(data, id);
      }
      if (meter.problem !== undefined) void this.#end(meter.problem);
      if (this.#over.signal.aborted || (id !== undefined && !this.#inbox.isInFlight(id))) return;
      // Who says too much is read more slowly.
      if (meter.pauseMs > 0) await this.#clock.sleep(meter.pauseMs, this.#over.signal).catch(() => undefined);
    }
  }

  /** A notification, or a reply to the server's request. What it is refused with is only logged. */
  async #tell(message: JSONRPCMessage, text: string): Promise<void> {
    if ("method" in message && message.method === "notifications/cancelled") {
      const id = message.params?.requestId;
      if (typeof id === "string" || typeof id === "number") this.#waiting.get(id)?.abort();
    }
    this.#sideMessages++;
    try {
      const signal = AbortSignal.any([this.#over.signal, AbortSignal.timeout(sideTimeoutMs)]);
      const response = await this.#post(text, this.#session.headers(), signal);
      response.destroy();
      if (!isSuccess(response)) this.onerror(new Error(`it refused a notification: HTTP ${response.statusCode}`));
    } finally {
      this.#sideMessages--;
    }
  }

  async #post(text: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<IncomingMessage> {
    const wanted = { accept: "application/json, text/event-stream", "content-type": "application/json" };
    return await openResponse(this.#url, {
      method: "POST",
      headers: { ...this.#headers, ...wanted, ...headers },
      body: text,
      signal,
    });
  }

  #listen(): void {
    this.#listening.abort();
    this.#listening = new AbortController();
    const signal = AbortSignal.any([this.#listening.signal, this.#over.signal]);
    const headers = { ...this.#headers, accept: "text/event-stream", ...this.#session.headers() };
    const followed = followServerStream({
      open: () => openResponse(this.#url, { method: "GET", headers, signal }),
      read: (response) => this.#readEvents(response),
      clock: this.#clock,
      signal,
      onerror: (error) => this.onerror(error),
    });
    void followed.then(async (end) => {
      if (end instanceof NoConnection) await this.#end(end.message);
    });
  }

  async #sayFarewell(): Promise<void> {
    const signal = AbortSignal.timeout(farewellTimeoutMs);
    const headers = { ...this.#headers, ...this.#session.headers() };
    const opened = openResponse(this.#url, { method: "DELETE", headers, signal });
    await opened
      .then((response) => response.destroy())
      .catch((error: unknown) => this.onerror(new Error(messageOf(error))));
  }

  async #end(problem: string | undefined): Promise<void> {
    if (this.#over.signal.aborted) return;
    this.#problem = problem;
    this.#over.abort();
    // What was on its way breaks now, and tells by itself whether it was sent.
    await Promise.allSettled(this.#work);
    this.onclose();
  }
}

function isRequest(message: JSONRPCMessage): message is JSONRPCRequest {
  return "method" in message && "id" in message;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
