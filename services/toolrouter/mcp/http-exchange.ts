/** One HTTP request: never redirected, never retried, on a connection of its own. */
import { type IncomingMessage, type RequestOptions, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { NotSent } from "./mcp-transport.ts";

/** How long a connection may take to stand, TLS included. */
const connectTimeoutMs = 10_000;

/** No connection stood. */
export class NoConnection extends NotSent {}

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

/** The whole body as text. Rejects when it is longer. */
export async function readBounded(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length;
    if (bytes > maxBytes) throw new Error(`the body is longer than ${maxBytes} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** What a status that is not a success means, and what to do. */
export function explainStatus(response: IncomingMessage): string {
  const status = response.statusCode ?? 0;
  if (status >= 300 && status < 400) {
    const to = response.headers.location ?? "nowhere";
    return `it redirects (HTTP ${status}) to ${to}, which is not followed; if that address is right, configure it as \`url\``;
  }
  if (status === 401 || status === 403) return `it refuses our credentials (HTTP ${status}); check \`headers\``;
  return `it answered HTTP ${status}`;
}

/** Node gives an AggregateError without a message when every address of a name refused. */
function explain(error: Error): string {
  if (error.message !== "") return error.message;
  return error instanceof AggregateError ? error.errors.map(String).join("; ") : error.name;
}
