/**
 * One request of the port and its answer, as the bounds of the port see it: who pays for it, an address until a caller is
 * proven and then a principal. Set by the connection server, carried to the request gate with the call's context (F4).
 */
import { type ConnectError, createContextKey } from "@connectrpc/connect";
import type { Principal } from "../../auth/principal.ts";

export interface Exchange {
  /**
   * A public RPC asks for a place among those of its address and of all. Undefined: it has one until its answer is over.
   * Errors: LIMIT_EXCEEDED, given and not thrown.
   */
  enterPublic(): ConnectError | undefined;
  /** The caller was proven: its address gets back what the request cost, and its principal pays from now on. */
  prove(principal: Principal): void;
  /** Undefined: the call is handled at once. Otherwise it waits for the turn of who pays for it (fair-turns.ts). */
  turn(): Promise<void> | undefined;
  /** The address pays for something that nobody proven asked for. False: it has nothing left. */
  charge(bytes: number): boolean;
  /** Milliseconds that a stream of a proven caller may take to its first message. */
  readonly firstMessageTimeoutMs: number;
}

/** Undefined inside the process. Set by the edge. */
export const exchangeKey = createContextKey<Exchange | undefined>(undefined, { description: "exchange" });

const exchanges = new WeakMap<object, Exchange>();

export function noteExchange(request: object, exchange: Exchange): void {
  exchanges.set(request, exchange);
}

export function exchangeOf(request: object): Exchange | undefined {
  return exchanges.get(request);
}
