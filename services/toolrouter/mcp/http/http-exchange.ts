/** One HTTP request: never redirected, never retried, on a connection of its own. */
import { type IncomingMessage, type RequestOptions, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { maxMessageBytes, RequestFault } from "../mcp-transport.ts";

/** How long a connection may take to stand, TLS included. */
const connectTimeoutMs = 10_000;

/** No connection stood. */
export class NoConnection extends RequestFault {
  constructor(problem: string) {
    super("not-sent", problem);
  }
}

export interface HttpRequest {
  readonly method: "GET" | "POST" | "DELETE";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** Resolves with the response's head. Rejects with NoConnection when none stood, so that nothing can have arrived. */
export function openResponse(url: URL, { method, headers, body, signal }: HttpRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  let connected = false;
  const isTls = url.protocol === "https:";
  const options: RequestOptions = { method, headers, signal, agent: false };
  const request = isTls ? requestHttps(url, options) : requestHttp(url, options);
  request.setTimeout(connectTimeoutMs, () => {
    if (!connected) request.destroy(new Error(`no connection within ${connectTimeoutMs} ms`));
  });
  request.once("socket", (socket) => {
    socket.once(isTls ? "secureConnect" : "connect", () => {
      connected = true;
      request.setTimeout(0);
    });
  });
  request.once("error", (error) =>
    reject(connected ? error : new NoConnection(`no connection to ${url.origin}: ${explain(error)}`)),
  );
  request.once("response", resolve);
  request.end(body);
  return promise;
}

export type Body =
  | { readonly kind: "whole"; readonly text: string }
  /** Longer than a message may be; the rest was not read. */
  | { readonly kind: "too-long" };

/** Reads a body to its end. Rejects when it breaks off. */
export async function readBody(response: IncomingMessage, onPart: () => void = () => undefined): Promise<Body> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    onPart();
    bytes += (chunk as Buffer).length;
    if (bytes > maxMessageBytes) return { kind: "too-long" };
    chunks.push(chunk as Buffer);
  }
  return { kind: "whole", text: Buffer.concat(chunks).toString("utf8") };
}

export function isSuccess(response: IncomingMessage): boolean {
  const status = response.statusCode ?? 0;
  return status >= 200 && status < 300;
}

export function mediaTypeOf(response: IncomingMessage): string {
  return (response.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

export function headerOf(response: IncomingMessage, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Node gives an AggregateError without a message when every address of a name refused. */
function explain(error: Error): string {
  if (error.message !== "") return error.message;
  return error instanceof AggregateError ? error.errors.map(String).join("; ") : error.name;
}
