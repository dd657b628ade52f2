/** Reads the body of a unary request. Keeps L7: no more of it than the RPC allows; how long it may take, the listener bounds. */
import type { Http2ServerRequest } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";

/** Rejects with a ConnectError when it is too large, or ends before it is whole. */
export function readBody(request: Http2ServerRequest, maxBytes: number): Promise<Uint8Array> {
  const stated = statedLength(request);
  if (stated !== undefined && stated > maxBytes) return Promise.reject(tooLarge(maxBytes));
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    let isEnded = false;
    request.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= maxBytes) return;
      // What comes now stays with the peer: its window is used up, and the answer ends the stream.
      request.pause();
      chunks.length = 0;
      reject(tooLarge(maxBytes));
    });
    request.once("end", () => {
      isEnded = true;
      if (stated !== undefined && bytes !== stated) reject(cutShort(`promised ${stated} bytes, received ${bytes}`));
      else resolve(join(chunks, bytes));
    });
    // Node ends a body that was cut off as if it were whole, but closes the request before it says so.
    request.once("close", () => {
      if (!isEnded) reject(cutShort("the request was cut off"));
    });
    request.on("error", ({ message }: Error) => reject(cutShort(message)));
  });
}

/** Into memory of its own: a chunk is a view of all that the connection brought at once, and would keep it. */
function join(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function statedLength({ headers }: Http2ServerRequest): number | undefined {
  const text = headers["content-length"];
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function tooLarge(maxBytes: number): ConnectError {
  return new ConnectError(`the message is larger than ${maxBytes} bytes`, Code.ResourceExhausted);
}

function cutShort(why: string): ConnectError {
  return new ConnectError(`protocol error: ${why}`, Code.InvalidArgument);
}
