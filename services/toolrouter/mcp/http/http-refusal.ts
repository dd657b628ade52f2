/** A response that is no success: what it means for the request (F3), and what to say of it. */
import type { IncomingMessage } from "node:http";
import type { RequestId } from "@modelcontextprotocol/sdk/types.js";
import { RequestFault } from "../mcp-transport.ts";
import { readMessages } from "../messages/read-message.ts";
import { mediaTypeOf, readBody } from "./http-exchange.ts";

const maxShownWords = 400;

export interface Refusal {
  readonly status: number;
  /** The body; empty when there was none, or it could not be read. */
  readonly text: string;
  readonly isHtml: boolean;
  /** Where it redirects to. */
  readonly location: string | undefined;
}

export async function readRefusal(response: IncomingMessage): Promise<Refusal> {
  const body = await readBody(response).catch(() => undefined);
  response.destroy();
  return {
    status: response.statusCode ?? 0,
    text: body?.kind === "whole" ? body.text : "",
    isHtml: mediaTypeOf(response) === "text/html",
    location: response.headers.location,
  };
}

/** What the refusal says of the server's session: it has forgotten it, it has not, or it may have. */
export function whatOfSession(
  { status, text }: Refusal,
  id: RequestId,
  hasSession: boolean,
): "forgotten" | "kept" | "perhaps" {
  if (status !== 404 && status !== 400 && status !== 410) return "kept";
  const answer = readAnswer(text, id);
  if (answer !== undefined && answersOfMethods.has(answer)) return "kept";
  // There is no code for it: servers say it in words, with 400 or 404, as JSON-RPC or not.
  if (/\bsession|initiali[sz]/i.test(text)) return "forgotten";
  if (!hasSession || answer !== undefined) return "kept";
  return status === 400 && text.trim() !== "" ? "perhaps" : "forgotten";
}

/** Codes that only a server gives that has looked at the request: no such method, bad parameters, failed inside. */
const answersOfMethods: ReadonlySet<number> = new Set([-32601, -32602, -32603]);

/** Whether the body is the answer to the request, whatever the status says. */
export function isAnswer({ status, text }: Refusal, id: RequestId): boolean {
  // A gate in front of the server looks at credentials, and says more by its status.
  return status >= 400 && status !== 401 && status !== 403 && readResponse(text, id) !== undefined;
}

/** The code of the error that answers this very request. */
function readAnswer(text: string, id: RequestId): number | undefined {
  const response = readResponse(text, id);
  return response !== undefined && "error" in response && response.id === id ? response.error.code : undefined;
}

/** A JSON-RPC response for the request, or for one whose id the server does not say. */
function readResponse(text: string, id: RequestId) {
  if (!text.trimStart().startsWith("{")) return undefined;
  const [received] = readMessages(text, new Set([id]));
  if (received?.kind !== "message" || "method" in received.message) return undefined;
  const isOurs = "result" in received.message ? received.message.id === id : true;
  return isOurs ? received.message : undefined;
}

/** The fault of a request that was answered so. */
export function faultOf(refusal: Refusal): RequestFault {
  const { status } = refusal;
  // A gateway may answer 5xx after the server has got the request; 501 and 505 say that nobody looked at it.
  const isRefused = status < 500 || status === 501 || status === 505;
  return new RequestFault(isRefused ? "refused" : "lost", explainRefusal(refusal));
}

/** What it means, in the server's words, and what to do. */
export function explainRefusal({ status, text, isHtml, location }: Refusal): string {
  if (status >= 300 && status < 400) {
    return `it redirects (HTTP ${status}) to ${location ?? "nowhere"}, which is not followed; if that address is right, configure it as \`url\``;
  }
  const said = wordsOf(text, isHtml);
  const words = said === "" ? "" : `: ${said}`;
  if (status === 401 || status === 403) return `it refuses our credentials (HTTP ${status}); check \`headers\`${words}`;
  return `it answered HTTP ${status}${words}`;
}

function wordsOf(text: string, isHtml: boolean): string {
  const [received] = text.trimStart().startsWith("{") ? readMessages(text, new Set()) : [];
  const isError = received?.kind === "message" && "error" in received.message;
  const words = isError ? received.message.error.message : isHtml ? "" : text;
  const line = words.replace(/\s+/g, " ").trim();
  return line.length <= maxShownWords ? line : `${line.slice(0, maxShownWords - 1).toWellFormed()}…`;
}
