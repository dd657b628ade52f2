/**
 * Reads what a server sends: JSON-RPC 2.0 (jsonrpc.org/specification), one message or a batch.
 *
 * Keeps F3: what answers a request but can't be read is told as such with the request's id, so that the request ends and
 * nobody waits for it. Nothing here throws.
 */
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js";

export type Received =
  | { readonly kind: "message"; readonly message: JSONRPCMessage }
  /** An answer to the request `id`; undefined when it answers a request and does not say which. */
  | { readonly kind: "unreadable"; readonly id: RequestId | undefined; readonly problem: string }
  /** Neither an answer nor a message: a line of a log, a number. */
  | { readonly kind: "noise" };

type Members = Readonly<Record<string, unknown>>;

/** The messages of one text. `inFlight` are the ids of the requests that wait for an answer. */
export function readMessages(text: string, inFlight: ReadonlySet<RequestId>): readonly Received[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    const id = findAnswered(text.slice(0, endLength), text.slice(-endLength), inFlight);
    return [id === undefined ? { kind: "noise" } : { kind: "unreadable", id, problem: "it is not JSON" }];
  }
  if (!Array.isArray(parsed)) return [readMessage(parsed)];
  return parsed.length > maxBatch ? [{ kind: "noise" }] : parsed.map(readMessage);
}

/** The most messages of a batch. */
const maxBatch = 1000;

function readMessage(value: unknown): Received {
  if (!isMembers(value)) return { kind: "noise" };
  const { jsonrpc, method, params } = value;
  if (typeof method === "string") {
    const id = readId(value.id);
    const body = { jsonrpc: "2.0", method, ...(isMembers(params) ? { params } : {}) } as const;
    return { kind: "message", message: id === undefined ? body : { ...body, id } };
  }
  const result = value.result ?? undefined;
  const error = value.error ?? undefined;
  const id = readId(value.id);
  if (id === undefined && result === undefined && error === undefined) return { kind: "noise" };
  const unreadable = (problem: string): Received => ({ kind: "unreadable", id, problem });
  if (jsonrpc !== "2.0") return unreadable('it has no `jsonrpc: "2.0"`');
  if (result !== undefined && error !== undefined) return unreadable("it has both a result and an error");
  if (error !== undefined) {
    const message = { jsonrpc: "2.0", error: readError(error) } as const;
    return { kind: "message", message: id === undefined ? message : { ...message, id } };
  }
  if (result === undefined) return unreadable("it has neither a result nor an error");
  if (!isMembers(result)) return unreadable("its result is not an object");
  if (id === undefined) return unreadable("it does not say which request it answers");
  return { kind: "message", message: { jsonrpc: "2.0", id, result } };
}

/** Servers give a text alone, or leave out the code. */
function readError(error: unknown): { code: number; message: string; data?: unknown } {
  if (!isMembers(error)) return { code: noCode, message: typeof error === "string" ? error : JSON.stringify(error) };
  const { code, message, data } = error;
  return {
    code: typeof code === "number" && Number.isSafeInteger(code) ? code : noCode,
    message: typeof message === "string" && message !== "" ? message : JSON.stringify(error),
    ...(data === undefined ? {} : { data }),
  };
}

const noCode = 0;

/** How much of each end of a text is looked at for an id, in characters. */
const endLength = 4096;

/**
 * Which request a text answers that is known by its ends alone: the `id` among the first members of the object, or the
 * last one. Undefined when none is found that is in flight.
 */
export function findAnswered(head: string, tail: string, inFlight: ReadonlySet<RequestId>): RequestId | undefined {
  const members = firstMembers(head);
  if (members.has("method")) return undefined;
  const last = /"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$/.exec(tail)?.[1];
  return [members.get("id"), last]
    .map((text) => (text === undefined ? undefined : readId(parseScalar(text))))
    .find((id) => id !== undefined && inFlight.has(id));
}

/** Whether a text of which only the beginning is known can be an answer: an object without a `method` in front. */
export function mayBeAnswer(head: string): boolean {
  return /^\s*\{/.test(head) && !firstMembers(head).has("method");
}

/** The scalar members of the outermost object that stand in front of everything nested, by name, as JSON. */
function firstMembers(head: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  const member = /\s*[{,]\s*"((?:[^"\\]|\\.)*)"\s*:\s*("(?:[^"\\]|\\.)*"|[^\s,{}[\]"]+)?/y;
  for (let match = member.exec(head); match !== null; match = member.exec(head)) {
    const [, name = "", value] = match;
    if (value === undefined) break;
    members.set(name, value);
  }
  return members;
}

function parseScalar(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Our ids are numbers; servers give them back as text, too. */
function readId(id: unknown): RequestId | undefined {
  if (typeof id === "number") return id;
  if (typeof id !== "string") return undefined;
  return /^\d{1,15}$/.test(id) ? Number(id) : id;
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
