/** What our transports add to the SDK's interface: they know why they ended and whether a message left at all. */
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";

/** The longest message that a server may send, in bytes: a server that floods is ended, and costs only itself (T7). */
export const maxMessageBytes = 4 * 1024 * 1024;

export interface McpTransport extends Transport {
  /** Why it ended by itself; undefined while it lives and when we closed it. Set before `onclose`. */
  readonly problem: string | undefined;
}

/** The server never got the message. */
export class NotSent extends Error {
  override readonly name = "NotSent";
}

/** A request whose answer will never come: the `data` of a JSON-RPC error that no server can make. */
export class LostAnswer {
  readonly problem: string;

  constructor(problem: string) {
    this.problem = problem;
  }
}
