/**
 * The session of an HTTP server, which may forget it: it was restarted, or it lets sessions lapse.
 *
 * Keeps FS2: a new one is begun in place, once for all requests that were refused in the old one; nothing else ends, and
 * answers that are on their way in the old one still come. Each request begins at most one.
 */
import type { IncomingMessage } from "node:http";
import type { JSONRPCRequest, RequestId } from "@modelcontextprotocol/sdk/types.js";
import { maxMessageBytes, RequestFault } from "../mcp-transport.ts";
import { readMessages } from "../messages/read-message.ts";
import { EventStream } from "./event-stream.ts";
import { headerOf, isSuccess, mediaTypeOf, NoConnection, readBody } from "./http-exchange.ts";
import { explainRefusal, isAnswer, type Refusal, readRefusal, whatOfSession } from "./http-refusal.ts";

const renewTimeoutMs = 30_000;
const pingTimeoutMs = 10_000;
/** Ids of our own, beside those of the SDK's client (from 0) and of tool calls (from 2^30). */
const firstOwnId = 2 ** 29;

type Post = (text: string, headers: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<IncomingMessage>;

export class HttpSession {
  protocolVersion: string | undefined;
  readonly #post: Post;
  readonly #over: AbortSignal;
  #id: string | undefined;
  #generation = 0;
  #initialize: JSONRPCRequest | undefined;
  #renewing: Promise<void> | undefined;
  #nextOwnId = firstOwnId;

  constructor(post: Post, over: AbortSignal) {
    this.#post = post;
    this.#over = over;
  }

  /** Undefined when the server keeps no session. */
  get id(): string | undefined {
    return this.#id;
  }

  /** Counts the sessions that were begun. */
  get generation(): number {
    return this.#generation;
  }

  headers(): Record<string, string> {
    return {
      ...(this.#id === undefined ? {} : { "mcp-session-id": this.#id }),
      ...(this.protocolVersion === undefined ? {} : { "mcp-protocol-version": this.protocolVersion }),
    };
  }

  begin(initialize: JSONRPCRequest, id: string | undefined): void {
    this.#initialize = initialize;
    this.#id = id;
    this.#generation++;
  }

  /** Whether the refusal means that the session is gone. A refusal that may mean something else is followed by a ping. */
  async isForgotten(refusal: Refusal, id: RequestId, signal: AbortSignal): Promise<boolean> {
    const says = whatOfSession(refusal, id, this.#id !== undefined);
    if (says !== "perhaps") return says === "forgotten";
    // A ping that breaks says nothing, and the request was refused in any case.
    return !(await this.#isAlive(signal).catch(() => true));
  }

  /**
   * Begins a new session in place of that of `generation`, and calls `onRenewed`; does nothing when somebody has. Rejects with a RequestFault:
   * `refused` with the server's words, or NoConnection.
   */
  async renew(generation: number, onRenewed: () => void): Promise<void> {
    if (this.#generation !== generation) return;
    this.#renewing ??= this.#initializeAgain()
      .then(onRenewed)
      .finally(() => {
        this.#renewing = undefined;
      });
    await this.#renewing;
  }

  async #isAlive(signal: AbortSignal): Promise<boolean> {
    const id = this.#nextOwnId++;
    const ping = JSON.stringify({ jsonrpc: "2.0", id, method: "ping" });
    const response = await this.#post(
      ping,
      this.headers(),
      AbortSignal.any([signal, AbortSignal.timeout(pingTimeoutMs)]),
    );
    if (!isSuccess(response)) return isAnswer(await readRefusal(response), id);
    response.destroy();
    return true;
  }

  async #initializeAgain(): Promise<void> {
    const signal = AbortSignal.any([this.#over, AbortSignal.timeout(renewTimeoutMs)]);
    try {
      const initialize: JSONRPCRequest = {
        ...this.#initialize,
        jsonrpc: "2.0",
        id: this.#nextOwnId++,
        method: "initialize",
      };
      const response = await this.#post(JSON.stringify(initialize), {}, signal);
      if (!isSuccess(response)) throw refused(explainRefusal(await readRefusal(response)));
      const { protocolVersion } = await readResult(response, initialize.id);
      if (typeof protocolVersion === "string") this.protocolVersion = protocolVersion;
      this.begin(initialize, headerOf(response, "mcp-session-id"));
      const told = await this.#post(
        JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" }),
        this.headers(),
        signal,
      );
      told.destroy();
    } catch (error) {
      if (error instanceof NoConnection) throw error;
      throw refused(
        `it has forgotten the session, and began no new one: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}

function refused(problem: string): RequestFault {
  return new RequestFault("refused", problem);
}

async function readResult(response: IncomingMessage, id: RequestId): Promise<Readonly<Record<string, unknown>>> {
  try {
    for await (const text of textsOf(response)) {
      for (const received of readMessages(text, new Set([id]))) {
        if (received.kind !== "message" || "method" in received.message || received.message.id !== id) continue;
        if ("error" in received.message) throw new Error(received.message.error.message);
        return received.message.result;
      }
    }
  } finally {
    response.destroy();
  }
  throw new Error("it ended its response without the answer");
}

async function* textsOf(response: IncomingMessage): AsyncGenerator<string> {
  if (mediaTypeOf(response) !== "text/event-stream") {
    const body = await readBody(response);
    if (body.kind === "whole") yield body.text;
    return;
  }
  const events = new EventStream(maxMessageBytes);
  for await (const chunk of response) {
    for (const data of events.push(chunk as Buffer)) if (typeof data === "string") yield data;
  }
}
