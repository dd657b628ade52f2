/**
 * Reads a JSON-RPC message as leniently as its meaning allows: one that answers a request must reach whoever waits.
 *
 * Keeps F1: members that are null, of the wrong type or beside the specification cost themselves alone.
 */
import { type JSONRPCMessage, JSONRPCMessageSchema } from "@modelcontextprotocol/sdk/types.js";

const internalError = -32_603;
const maxErrorLength = 1_024;

type RawObject = Readonly<Record<string, unknown>>;

/** Throws when nobody can tell what it is. */
export function readMessage(value: unknown): JSONRPCMessage {
  const strict = JSONRPCMessageSchema.safeParse(value);
  return strict.success ? strict.data : JSONRPCMessageSchema.parse(mend(value));
}

function mend(value: unknown): unknown {
  if (!isObject(value)) return value;
  const { id, method, params, result, error } = value;
  if (typeof method === "string") {
    const given = isObject(params) ? { params: withoutMeta(params) } : {};
    return { jsonrpc: "2.0", method, ...(isId(id) ? { id } : {}), ...given };
  }
  if (!isId(id)) return value;
  if (error !== undefined && error !== null) return { jsonrpc: "2.0", id, error: mendError(error) };
  return { jsonrpc: "2.0", id, result: isObject(result) ? withoutMeta(result) : {} };
}

function mendError(error: unknown): object {
  const { code, message } = isObject(error) ? error : { code: undefined, message: error };
  const text = typeof message === "string" ? message : "it answered with an error that says nothing";
  return { code: Number.isSafeInteger(code) ? code : internalError, message: text.slice(0, maxErrorLength) };
}

/** Metadata is what breaks most often, and nothing here needs it. */
function withoutMeta(value: RawObject): object {
  const { _meta, ...rest } = value;
  return rest;
}

function isId(id: unknown): boolean {
  return typeof id === "string" || Number.isSafeInteger(id);
}

function isObject(value: unknown): value is RawObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
