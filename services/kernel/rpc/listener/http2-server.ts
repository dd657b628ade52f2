// The HTTP/2 half of the listener: node's server with bounds, fed with sockets that the listener accepted.
// Keeps L7: streams, headers, windows, memory, PINGs, SETTINGS and resets of one session are bounded.
import { createServer, type Http2Server, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { ListenerLimits } from "./listener-limits.ts";

/**
 * `onRequest` is called for requests within the limits. Too many header pairs: node resets the stream
 * (ENHANCE_YOUR_CALM) and tells nobody. Too many header bytes: `onRefused` is told and the answer is 431.
 */
export function createHttp2Server(
  limits: ListenerLimits,
  onRequest: (request: Http2ServerRequest, response: Http2ServerResponse) => void,
  onRefused: (request: Http2ServerRequest, detail: string) => void,
): Http2Server {
  return createServer(
    {
      settings: {
        enablePush: false,
        maxConcurrentStreams: limits.maxConcurrentStreams,
        initialWindowSize: limits.streamWindowBytes,
        maxHeaderListSize: limits.maxHeaderBytes,
      },
      maxHeaderListPairs: limits.maxHeaderPairs,
      maxSessionMemory: limits.maxSessionMemoryMegabytes,
      maxOutstandingPings: limits.maxOutstandingPings,
      maxSettings: limits.maxSettings,
      streamResetBurst: limits.streamResetBurst,
      streamResetRate: limits.streamResetsPerSecond,
    },
    (request, response) => {
      // Node holds a peer to maxHeaderListSize only once the peer has acknowledged it, which a hostile one never does.
      if (countHeaderListBytes(request.rawHeaders) <= limits.maxHeaderBytes) return onRequest(request, response);
      onRefused(request, `headers over ${limits.maxHeaderBytes} bytes`);
      response.statusCode = 431;
      response.end(() => request.stream.close());
    },
  );
}

/** The size of a header list as RFC 9113 §6.5.2 counts it: 32 bytes for each pair beside name and value. */
function countHeaderListBytes(rawHeaders: readonly string[]): number {
  const text = rawHeaders.reduce((bytes, part) => bytes + part.length, 0);
  return text + (rawHeaders.length / 2) * 32;
}
