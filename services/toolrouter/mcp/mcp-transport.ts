/** A connection to a server as the rest of this folder uses it: messages, and what became of requests without an answer. */
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js";

/** The longest message that is read, in bytes: a longer one is thrown away as it comes, and costs the call that it answers. */
export const maxMessageBytes = 16 * 1024 * 1024;

/**
 * The most that may wait to be written to a server, in bytes over all messages: calls, replies to its pings,
 * notifications. A server that does not read is ended then.
 */
export const maxWaitingBytes = 16 * 1024 * 1024;

/** What a message that waits costs beside its bytes. */
export const messageOverheadBytes = 512;

/** Why a request has no answer that can be used. The kinds are those of McpCallEnd. */
export class RequestFault extends Error {
  override readonly name = "RequestFault";
  readonly kind: "not-sent" | "refused" | "unreadable" | "lost";

  constructor(kind: RequestFault["kind"], problem: string) {
    super(problem);
    this.kind = kind;
  }
}

export interface McpTransport {
  /** Rejects with the problem. */
  start(): Promise<void>;
  /** Resolves when the server has taken the message. Rejects with a RequestFault. */
  send(message: JSONRPCMessage): Promise<void>;
  /** Idempotent; ends everything that was started. */
  close(): Promise<void>;
  setProtocolVersion(version: string): void;
  /** Why it ended by itself; undefined while it lives and when we closed it. Set before `onclose`. */
  readonly problem: string | undefined;
  /** What its server wrote beside messages, for a start that fails; empty when there is nothing. */
  readonly lastWords: string;
  /** Called once, however it ends. */
  onclose: () => void;
  /** Something went wrong that ends nothing. */
  onerror: (error: Error) => void;
  /** `request` is the one in whose response the message came, when that is known. */
  onmessage: (message: JSONRPCMessage, request?: RequestId) => void;
  /** The answer to a request that was sent won't come, or came and can't be used. */
  onfault: (request: RequestId, fault: RequestFault) => void;
  /** A part of the response to a request came. */
  onactivity: (request: RequestId) => void;
}
