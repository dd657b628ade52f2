/**
 * Takes away what the SDK would throw a whole message away for: nobody would answer it, or wait for it until a timeout.
 *
 * Keeps F1: nothing here uses `_meta`, and an odd one costs nothing but itself.
 */
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js";
import { readGreeting } from "./read-greeting.ts";

/** The message as the SDK's client takes it; `greeting` is the id of the request `initialize`. */
export function mendMessage(message: JSONRPCMessage, greeting: RequestId | undefined): JSONRPCMessage {
  if ("result" in message) {
    const result = withoutMeta(message.result);
    return { ...message, result: message.id === greeting ? readGreeting(result) : result };
  }
  if (!("method" in message) || message.params === undefined) return message;
  return { ...message, params: withoutMeta(message.params) };
}

function withoutMeta(members: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { _meta, ...rest } = members;
  return rest;
}
