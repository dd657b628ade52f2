/**
 * MCP over Streamable HTTP (MCP 2025-11-25, Transports §Streamable HTTP). Ours, because a lost answer must be noticed.
 *
 * Keeps T1: a request whose response stream ends without the answer is reported as lost, a request that never left as
 * not sent; nothing is sent twice and no stream is resumed. Each message takes a connection of its own: a kept one that
 * the server closes at the wrong moment would put a call in doubt.
 * Redirects are not followed: headers with credentials go to the configured address and to no other.
 */
import type { IncomingMessage } from "node:http";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Clock } from "../../kernel/clock.ts";
import { EventStream } from "./event-stream.ts";
import { explainStatus, NoConnection, openResponse, readBounded } from "./http-exchange.ts";
import type { McpTarget } from "./mcp-connection.ts";
import { LostAnswer, type McpTransport, maxMessageBytes, NotSent } from "./mcp-transport.ts";
import { readMessage } from "./read-message.ts";

/** Notifications, the farewell and the opening of the server's own stream have nobody who waits with a timeout. */
const sideTimeoutMs = 10_000;
const farewellTimeoutMs = 1000;
const firstReopenMs = 1000;
const lastReopenMs = 30_000;
const maxReopens = 5;

export class HttpTransport implements McpTransport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #clock: Clock;
  readonly #over = new AbortController();
  /** Requests that wait for their answer, by id. */
  readonly #waiting = new Map<string | number, AbortController>();
  #sessionId: string | undefined;
  #protocolVersion: string | undefined;
  #problem: string | undefined;

  constructor(target: Extract<McpTarget, { kind: "http" }>, clock: Clock) {
    this.#url = new URL(target.url);
    this.#headers = target.headers;
    this.#clock = clock;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  setProtocolVersion(version: string): void {
    this.#protocolVersion = version;
  }

  async start(): Promise<void> {}

  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#over.signal.aborted) throw new NotSent(this.#problem ?? "the connection is closed");
    if ("method" in message && message.method === "notifications/cancelled") {
      const id = message.params?.requestId;
      if (typeof id === "string" || typeof id === "number") this.#waiting.get(id)?.abort();
    }
    if ("method" in message && "id" in message) await this.#request(message.id, message);
    else await this.#notify(message);
    if ("method" in message && message.method === "notifications/initialized") void this.#listen();
  }

  async close(): Promise<void> {
    if (this.#over.signal.aborted) return;
    const farewell = this.#sessionId === undefined ? Promise.resolve() : this.#sayFarewell();
    this.#end(undefined);
    await farewell;
  }

  async #request(id: string | number, message: JSONRPCMessage): Promise<void> {
    const abort = new AbortController();
    this.#waiting.set(id, abort);
    const signal = AbortSignal.any([abort.signal, this.#over.signal]);
    let response: IncomingMessage;
    try {
      response = await this.#post(message, signal);
    } catch (error) {
      this.#waiting.delete(id);
      // Nobody listens there: the server is not running.
      if (error instanceof NoConnection) this.#end(error.message);
      throw error;
    }
    // The answer comes in its own time; `send` is done when the server has taken the request.
    void this.#readAnswer(response, id);
  }

  async #readAnswer(response: IncomingMessage, id: string | number): Promise<void> {
    let problem = "it ended its response without the answer";
    try {
      if (mediaType(response) === "text/event-stream") await this.#readEvents(response);
      else this.#receive(await readBounded(response, maxMessageBytes));
    } catch (error) {
      problem = `its response broke off: ${messageOf(error)}`;
    } finally {
      response.destroy();
    }
    if (!this.#waiting.delete(id)) return;
    this.onmessage?.({ jsonrpc: "2.0", id, error: { code: -32000, message: problem, data: new LostAnswer(problem) } });
  }

  async #notify(message: JSONRPCMessage): Promise<void> {
    const signal = AbortSignal.any([this.#over.signal, AbortSignal.timeout(sideTimeoutMs)]);
    const response = await this.#post(message, signal);
    response.destroy();
  }

  async #post(message: JSONRPCMessage, signal: AbortSignal): Promise<IncomingMessage> {
    const headers = this.#withSession({
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
    });
    const response = await openResponse(this.#url, { method: "POST", headers, body: JSON.stringify(message), signal });
    const status = response.statusCode ?? 0;
    this.#sessionId = header(response, "mcp-session-id") ?? this.#sessionId;
    if (status >= 200 && status < 300) return response;
    response.destroy();
    const problem = explainStatus(response);
    // A gateway may answer 5xx after the server has got the message; anything else refused it.
    if (status >= 500) throw new Error(problem);
    if (status === 404 && this.#sessionId !== undefined) this.#end("it has forgotten the session");
    throw new NotSent(problem);
  }

  /** Listens to what the server says by itself. A server need not offer that (405). */
  async #listen(): Promise<void> {
    for (let failures = 0; failures < maxReopens && !this.#over.signal.aborted; ) {
      try {
        const response = await openResponse(this.#url, {
          method: "GET",
          headers: this.#withSession({ accept: "text/event-stream" }),
          signal: this.#over.signal,
        });
        if (response.statusCode === 404 && this.#sessionId !== undefined)
          return this.#end("it has forgotten the session");
        if (response.statusCode !== 200 || mediaType(response) !== "text/event-stream") {
          response.destroy();
          if (response.statusCode !== 405) this.onerror?.(new Error(`it offers no stream: ${explainStatus(response)}`));
          return;
        }
        failures = 0;
        await this.#readEvents(response);
      } catch (error) {
        if (this.#over.signal.aborted) return;
        if (error instanceof NotSent) return this.#end(error.message);
        failures++;
        this.onerror?.(new Error(`the server's own stream broke off: ${messageOf(error)}`));
      }
      const waitMs = Math.min(lastReopenMs, firstReopenMs * 2 ** failures);
      await this.#clock.sleep(waitMs, this.#over.signal).catch(() => undefined);
    }
    if (!this.#over.signal.aborted) this.#end("its own stream breaks off again and again");
  }

  async #readEvents(response: IncomingMessage): Promise<void> {
    const events = new EventStream(maxMessageBytes);
    for await (const chunk of response) {
      for (const data of events.push(chunk as Buffer)) this.#receive(data);
    }
  }

  #receive(text: string): void {
    let messages: JSONRPCMessage[];
    try {
      const parsed: unknown = JSON.parse(text);
      messages = (Array.isArray(parsed) ? parsed : [parsed]).map((message) => readMessage(message));
    } catch {
      this.onerror?.(new Error("it sent something that is no JSON-RPC message"));
      return;
    }
    for (const message of messages) {
      if (!("method" in message) && "id" in message && message.id !== undefined) this.#waiting.delete(message.id);
      this.onmessage?.(message);
    }
  }

  async #sayFarewell(): Promise<void> {
    const signal = AbortSignal.timeout(farewellTimeoutMs);
    const opened = openResponse(this.#url, { method: "DELETE", headers: this.#withSession({}), signal });
    await opened.then((response) => response.destroy()).catch((error: unknown) => this.onerror?.(toError(error)));
  }

  #withSession(headers: Record<string, string>): Record<string, string> {
    if (this.#sessionId !== undefined) headers["mcp-session-id"] = this.#sessionId;
    if (this.#protocolVersion !== undefined) headers["mcp-protocol-version"] = this.#protocolVersion;
    return { ...this.#headers, ...headers };
  }

  #end(problem: string | undefined): void {
    if (this.#over.signal.aborted) return;
    this.#problem = problem;
    this.#waiting.clear();
    this.#over.abort();
    this.onclose?.();
  }
}

function mediaType(response: IncomingMessage): string {
  return (response.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

function header(response: IncomingMessage, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
