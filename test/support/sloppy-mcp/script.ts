/**
 * A sloppy MCP server, for tests: it answers literally what its script says, over standard input and output
 * (`sloppyProgram`) or HTTP (`startSloppyHttp`). Real processes and sockets; the MCP SDK is not used.
 *
 *     const { command, args, requests } = sloppyProgram({ "tools/call": [[{ result: { content: [] } }]] });
 *     const { url, requests } = await startSloppyHttp({ "tools/call": [[{ status: 400 }, { raw: "no session" }], usual] });
 *
 * A script has an answer list for each method: the first request of that method takes the first answer, the next one the
 * second; the last answer is for all further ones. An answer is a list of steps, played in order; answers to different
 * requests play at the same time. Keys: a JSON-RPC method or notification (`initialize`, `tools/list`, `notifications/…`);
 * `tools/call NAME` for one tool, before `tools/call`; `start`, when a program begins, before it reads; `GET` and `DELETE`
 * over HTTP. What is not in the script is answered well: it initialises, lists one tool `work` that takes any object and
 * answers the text "done", answers pings, and refuses GET with 405.
 *
 * In texts `$id` is the id of the request (as JSON), `$token` its progress token and `$n` counts the repeats of a flood.
 * In values of `send`, `result` and `error` the string "$id" or "$token" becomes the value itself.
 */
export type Step =
  /** A whole JSON-RPC response to the request: `{"jsonrpc":"2.0","id":$id,"result":…}`. */
  | { readonly result: unknown }
  | { readonly error: unknown }
  /** Any JSON value: a line, an event of a stream, or a body. */
  | { readonly send: unknown }
  /** Literal text; no line end and no frame is added. */
  | { readonly raw: string }
  | { readonly base64: string }
  /** `text` over and over, until `bytes` bytes are written; no line end is added. */
  | { readonly fill: string; readonly bytes: number }
  /** `flood` over and over, as fast as it is read, or `perSecond` times a second; for ever, or for `seconds`. */
  | { readonly flood: string; readonly perSecond?: number; readonly seconds?: number }
  /** The answer that this request would get without a script. */
  | { readonly usual: true }
  | { readonly delayMs: number }
  /** This request is never answered, and its HTTP response never ended. */
  | { readonly hang: true }
  /** From now on nothing is read: of standard input, or of this HTTP connection. */
  | { readonly stopReading: true }
  /** Closes standard output, or resets the HTTP connection. */
  | { readonly cut: true }
  /** HTTP: the head of the response. Default 200 application/json; 202 for a notification. */
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** HTTP: 200 text/event-stream; from here on `result`, `error`, `send` and `usual` are events. */
  | { readonly stream: true; readonly headers?: Readonly<Record<string, string>> }
  /** Programs alone. */
  | { readonly stderr: string }
  | { readonly exit: number }
  /** Ignores these signals, and the end of its input. */
  | { readonly ignore: readonly NodeJS.Signals[] }
  /** Starts `sleep 600` in a shell that ignores these signals, and writes its process id as a line of error output. */
  | { readonly grandchild: readonly NodeJS.Signals[] };

export type Answer = readonly Step[];
export type Script = Readonly<Record<string, readonly Answer[]>>;

/** What the server was asked, in order. */
export interface SloppyRequest {
  /** The method of JSON-RPC, else that of HTTP; `end` when a program's input ended. */
  readonly method: string;
  readonly id: unknown;
  readonly params: unknown;
  /** Empty for a program. */
  readonly headers: Readonly<Record<string, unknown>>;
  /** 0 for HTTP. */
  readonly pid: number;
}

export const usual: Answer = [{ usual: true }];

const usualResults: Readonly<Record<string, unknown>> = {
  initialize: {
    protocolVersion: "2025-06-18",
    capabilities: { tools: { listChanged: true } },
    serverInfo: { name: "sloppy", version: "0.0.1" },
  },
  ping: {},
  "tools/list": { tools: [{ name: "work", inputSchema: { type: "object" } }] },
  "tools/call": { content: [{ type: "text", text: "done" }] },
};

/** What a request without an answer in the script gets; no steps for a notification. */
export function usualSteps(method: string): Answer {
  if (method === "GET") return [{ status: 405 }];
  if (method === "DELETE" || method.startsWith("notifications/")) return [];
  const result = usualResults[method];
  return result === undefined ? [{ error: { code: -32601, message: "no such method" } }] : [{ result }];
}

/** Deals the answers of a script, each to its request. */
export class ScriptReader {
  readonly #script: Script;
  readonly #asked = new Map<string, number>();

  constructor(script: Script) {
    this.#script = script;
  }

  answerTo(method: string, tool?: string): Answer {
    const named = `${method} ${tool ?? ""}`;
    const key = tool !== undefined && named in this.#script ? named : method;
    const answers = this.#script[key];
    const nth = this.#asked.get(key) ?? 0;
    this.#asked.set(key, nth + 1);
    return answers?.[Math.min(nth, answers.length - 1)] ?? (method === "start" ? [] : usual);
  }
}
