/**
 * A Messages API on a real HTTP/1.1 socket: the wire of the real one, a script instead of a model.
 *
 * It refuses what the real one refuses (validate-request.ts), so that a bad history fails a test and not a customer.
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { parseExact } from "../../../services/kernel/json/exact-json.ts";
import { answerEvents, answerMessage, frame, startEvent } from "./answers/answer-events.ts";
import { createPacer } from "./answers/pacer.ts";
import { type Outcome, type Sending, sendEvents, sendRaw, sendTokens } from "./answers/send-answer.ts";
import { tokenFrames, tokenText } from "./answers/token-frames.ts";
import { type ApiProblem, errorBody, problemOf } from "./error-body.ts";
import { createRequestHistory, type RecordedRequest } from "./request-history.ts";
import { fakeModel, fakeModels, modelBody } from "./requests/fake-models.ts";
import { isObject } from "./requests/is-object.ts";
import { validateRequest } from "./requests/validate-request.ts";
import { type FakeReply, type FakeScript, type FakeUsage, replyOf } from "./script.ts";

export interface FakeAnthropicOptions {
  /** Default: text of `tokens` tokens. */
  readonly script?: FakeScript;
  /** Tokens of the default answer. Default 20. */
  readonly tokens?: number;
  /** Milliseconds between two pieces of an answer. Default 0: all at once. */
  readonly tokenDelayMs?: number;
  /** A file to which each request and its outcome is appended as a line of JSON. */
  readonly historyFile?: string;
  /** How many requests it remembers, which may be a megabyte each. Default 1 000. */
  readonly mostKept?: number;
  /** The only key that is taken. Default: any. */
  readonly apiKey?: string;
  /** The most tokens of a prompt, about four bytes each. Default: the model's. */
  readonly contextTokens?: number;
  /** Default 0: a free one. */
  readonly port?: number;
}

export interface FakeAnthropic {
  readonly url: string;
  /** The calls of /v1/messages, oldest first; at most the last `mostKept`. */
  requests(): readonly RecordedRequest[];
  /** Connections in the middle of a request. */
  openConnections(): number;
  /** Starts a new script with its first reply. */
  setScript(script: FakeScript): void;
  close(): Promise<void>;
}

const mostBodyBytes = 33_554_432;
const plainUsage: FakeUsage = { input_tokens: 25, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };

export async function startFakeAnthropic(options: FakeAnthropicOptions = {}): Promise<FakeAnthropic> {
  const { tokens = 20, tokenDelayMs = 0 } = options;
  const history = createRequestHistory(options.historyFile, options.mostKept);
  const pacer = createPacer();
  let script: FakeScript = options.script ?? [{ kind: "tokens", tokens }];
  const open = new Set<ServerResponse>();
  let scriptCalls = 0;
  let calls = 0;
  let ids = 0;
  const nextId = (prefix: string): string => `${prefix}_fake${process.pid.toString(36)}x${(ids++).toString(36)}`;

  const createMessage = async (request: IncomingMessage, response: ServerResponse, requestId: string) => {
    const body = await readJson(request);
    const { authorization: _key, "x-api-key": _oldKey, ...headers } = request.headers as Record<string, string>;
    const recorded = history.begin({
      call: calls++,
      requestId,
      path: request.url ?? "",
      headers,
      body: isObject(body) ? body : {},
    });
    const finish = (outcome: Outcome): void => history.end(recorded, outcome);
    open.add(response);
    response.once("close", () => open.delete(response));
    response.once("close", () => finish(response.writableFinished ? "answered" : "client-gone"));
    const problem =
      body === "too large"
        ? problemOf(413, "Request exceeds the maximum size")
        : validateRequest(body, options.contextTokens);
    if (problem !== undefined || !isObject(body)) {
      recorded.status = problem?.status ?? 400;
      finish("refused");
      sendProblem(response, problem ?? problemOf(400, "The request body is not valid JSON."), requestId);
      return;
    }
    answer({ body, response, requestId, recorded, finish }, replyOf(script, body, scriptCalls++));
  };

  const answer = (call: Call, reply: FakeReply): void => {
    const { response, recorded, requestId, finish } = call;
    switch (reply.kind) {
      case "error": {
        recorded.status = reply.status;
        finish("refused");
        const problem = problemOf(reply.status, reply.message ?? `scripted ${reply.status}`, reply.type);
        sendProblem(response, problem, requestId, reply.headers);
        return;
      }
      case "silence":
        return;
      case "hangup":
        finish("broken");
        response.destroy();
        return;
      case "raw": {
        const { status = 200, headers } = reply;
        recorded.status = status;
        response.writeHead(status, headers ?? { "content-type": "text/event-stream; charset=utf-8" });
        sendRaw({ response, pacer, finish, delayMs: tokenDelayMs }, reply);
        return;
      }
      case "tokens":
      case "answer":
        recorded.status = 200;
        sendAnswer(call, reply);
        return;
    }
  };

  const sendAnswer = (call: Call, reply: Extract<FakeReply, { kind: "answer" | "tokens" }>): void => {
    const { body, response, finish } = call;
    const head = { id: nextId("msg"), model: typeof body.model === "string" ? body.model : "", usage: plainUsage };
    const sending: Sending = { response, pacer, finish, delayMs: reply.tokenDelayMs ?? tokenDelayMs };
    const streaming = body.stream === true;
    if (streaming) startStream(response, call.requestId);
    if (reply.kind === "tokens" && streaming) {
      sendTokens(sending, frame(startEvent(head)), tokenFrames(reply.tokens));
      return;
    }
    const full =
      reply.kind === "tokens"
        ? { ...head, blocks: [tokenBlock(reply.tokens)], stopReason: "end_turn" }
        : { ...head, usage: { ...plainUsage, ...reply.usage }, blocks: reply.blocks, stopReason: stopReasonOf(reply) };
    if (streaming) {
      const events = answerEvents(full);
      const wire: Partial<Extract<FakeReply, { kind: "answer" }>> = reply.kind === "answer" ? reply : {};
      sendEvents(sending, wire.edit?.(events) ?? events, wire);
    } else sendJson(response, 200, JSON.stringify(answerMessage(full)), call.requestId);
  };

  const route = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const requestId = nextId("req");
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    const refused = checkHeaders(request, options.apiKey);
    if (refused !== undefined) sendProblem(response, refused, requestId);
    else if (request.method === "POST" && path === "/v1/messages") await createMessage(request, response, requestId);
    else if (request.method === "GET" && path === "/v1/models") sendModels(response, requestId);
    else if (request.method === "GET" && path.startsWith("/v1/models/")) {
      const id = decodeURIComponent(path.slice("/v1/models/".length));
      const model = fakeModel(id);
      if (model === undefined) sendProblem(response, problemOf(404, `model: ${id}`), requestId);
      else sendJson(response, 200, JSON.stringify(modelBody(model)), requestId);
    } else sendProblem(response, problemOf(404, "Not found"), requestId);
  };

  const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
    route(request, response).catch((error: unknown) => {
      // A fault of the script, which whoever reads the caller's log must see.
      if (response.headersSent) response.destroy();
      else sendProblem(response, problemOf(500, `the fake failed: ${String(error)}`), nextId("req"));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: history.all,
    openConnections: () => open.size,
    setScript(next) {
      script = next;
      scriptCalls = 0;
    },
    close() {
      pacer.close();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

interface Call {
  readonly body: JsonObject;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly recorded: RecordedRequest;
  readonly finish: (outcome: Outcome) => void;
}

function checkHeaders(request: IncomingMessage, apiKey: string | undefined): ApiProblem | undefined {
  const bearer = request.headers.authorization?.replace(/^Bearer /, "");
  const key = bearer ?? request.headers["x-api-key"];
  if (key === undefined || key === "" || (apiKey !== undefined && key !== apiKey)) {
    return problemOf(401, key === undefined ? "x-api-key header is required" : "invalid x-api-key");
  }
  const version = request.headers["anthropic-version"];
  return version === undefined ? problemOf(400, "anthropic-version: header is required") : undefined;
}

function stopReasonOf(reply: Extract<FakeReply, { kind: "answer" }>): string {
  const calls = reply.blocks.some((block) => block.type === "tool_use");
  return reply.stopReason ?? (calls ? "tool_use" : "end_turn");
}

function tokenBlock(tokens: number) {
  return { type: "text" as const, text: Array.from({ length: tokens }, (_, index) => tokenText(index)).join("") };
}

async function readJson(request: IncomingMessage): Promise<JsonValue | undefined | "too large"> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= mostBodyBytes) chunks.push(chunk);
  }
  if (bytes > mostBodyBytes) return "too large";
  try {
    // With the digits of long numbers: the real one passes an input on as it stands.
    return parseExact(Buffer.concat(chunks).toString("utf8"));
  } catch {
    return undefined;
  }
}

function startStream(response: ServerResponse, requestId: string): void {
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "request-id": requestId,
  });
}

function sendProblem(
  response: ServerResponse,
  problem: ApiProblem,
  requestId: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  sendJson(response, problem.status, errorBody(problem, requestId), requestId);
}

function sendModels(response: ServerResponse, requestId: string): void {
  const data = fakeModels.map(modelBody);
  sendJson(response, 200, JSON.stringify({ data, has_more: false, first_id: null, last_id: null }), requestId);
}

function sendJson(response: ServerResponse, status: number, body: string, requestId: string): void {
  response.writeHead(status, { "content-type": "application/json", "request-id": requestId });
  response.end(body);
}
