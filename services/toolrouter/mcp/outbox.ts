/**
 * What waits to be written to a server. Keeps E6: bounded in bytes as a sum over calls, replies to its pings and
 * notifications; a server that does not read is ended, and costs only itself.
 */
import { maxWaitingBytes, messageOverheadBytes } from "./mcp-transport.ts";

export class Outbox {
  #bytes = 0;

  /** False when there is no room, and the server is to be ended. What was taken must be given back by `release`. */
  take(text: string): boolean {
    const bytes = sizeOf(text);
    if (this.#bytes + bytes > maxWaitingBytes) return false;
    this.#bytes += bytes;
    return true;
  }

  release(text: string): void {
    this.#bytes -= sizeOf(text);
  }
}

/** Why a server is ended that has no room. */
export const outboxFull = `it does not read: more than ${maxWaitingBytes} bytes wait to be written to it`;

function sizeOf(text: string): number {
  return Buffer.byteLength(text) + messageOverheadBytes;
}
