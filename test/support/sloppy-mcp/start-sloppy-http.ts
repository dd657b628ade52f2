/** Starts a sloppy MCP server on a free port of 127.0.0.1; see script.ts. It lives in the process of the test. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { type Output, playSteps } from "./play-steps.ts";
import { type Script, ScriptReader, type SloppyRequest } from "./script.ts";

export interface SloppyHttp {
  readonly url: string;
  readonly requests: readonly SloppyRequest[];
  /** Connections that are open now. */
  readonly connections: () => number;
  /** Stops listening and resets what is open. */
  readonly stop: () => Promise<void>;
}

interface Incoming {
  readonly method?: string;
  readonly id?: unknown;
  readonly params?: { readonly name?: string; readonly _meta?: { readonly progressToken?: unknown } };
}

export async function startSloppyHttp(script: Script = {}): Promise<SloppyHttp> {
  const reader = new ScriptReader(script);
  const requests: SloppyRequest[] = [];
  let connections = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const verb = request.method ?? "";
    const {
      method = "response",
      id,
      params,
    } = (verb === "POST" ? JSON.parse(await text(request)) : { method: verb }) as Incoming;
    requests.push({ method, id, params, headers: request.headers, pid: 0 });
    const steps = method === "response" ? [] : reader.answerTo(method, params?.name);
    const output = new HttpOutput(response, method === "response" || method.startsWith("notifications/"));
    const asked = { method, id, progressToken: params?._meta?.progressToken };
    if (await playSteps(steps, asked, output)) output.end();
  };
  const server = createServer((request, response) => {
    // A caller that went away is what tests are about.
    answer(request, response).catch(() => response.destroy());
  });
  server.on("connection", (socket) => {
    connections++;
    socket.once("close", () => connections--);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  onTestFinished(stop);
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/mcp`, requests, connections: () => connections, stop };
}

class HttpOutput implements Output {
  readonly #response: ServerResponse;
  readonly #defaultStatus: number;
  #isStream = false;

  constructor(response: ServerResponse, isNotification: boolean) {
    this.#response = response;
    this.#defaultStatus = isNotification ? 202 : 200;
  }

  get isOver(): boolean {
    return this.#response.destroyed || this.#response.writableEnded;
  }

  async write(part: string | Buffer): Promise<void> {
    if (!this.#response.headersSent) this.#writeHead(this.#defaultStatus, {});
    if (this.isOver || this.#response.write(part)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const event of ["drain", "close"]) this.#response.once(event, resolve);
    await promise;
    for (const event of ["drain", "close"]) this.#response.off(event, resolve);
  }

  writeMessage(json: string): Promise<void> {
    return this.write(this.#isStream ? `data: ${json}\n\n` : json);
  }

  stopReading(): void {
    this.#response.socket?.pause();
  }

  cut(): void {
    this.#response.socket?.resetAndDestroy();
  }

  play(step: Parameters<Output["play"]>[0]): void {
    if ("status" in step) this.#writeHead(step.status, step.headers ?? {});
    else if ("stream" in step) {
      this.#isStream = true;
      this.#writeHead(200, { "content-type": "text/event-stream", ...step.headers });
      this.#response.flushHeaders();
    } else throw new Error(`HTTP can't play ${JSON.stringify(step)}`);
  }

  end(): void {
    if (this.isOver) return;
    if (!this.#response.headersSent) this.#writeHead(this.#defaultStatus, {});
    this.#response.end();
  }

  #writeHead(status: number, headers: Readonly<Record<string, string>>): void {
    const type: Record<string, string> = status === 202 ? {} : { "content-type": "application/json" };
    this.#response.writeHead(status, { ...type, ...headers });
  }
}
