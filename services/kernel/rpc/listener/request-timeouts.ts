// Keeps L7: a request that does not arrive in full is cut off, whatever its protocol (slowloris, data drip).
// Server-streaming answers are not touched: only the receipt of the request is bounded.
import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";

export type EdgeRequest = IncomingMessage | Http2ServerRequest;
export type EdgeResponse = ServerResponse | Http2ServerResponse;

/** Whether the peer has sent the whole request, read by the handler or not. */
export function isRequestReceived(request: EdgeRequest): boolean {
  if (!("stream" in request)) return request.complete;
  const { stream } = request;
  return (
    stream.endAfterHeaders ||
    stream.destroyed ||
    stream.state.state === constants.NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE
  );
}

/** Calls `onLate` when the request's body has not arrived in full after `timeoutMs` and nobody has closed it. */
export function watchRequestBody(
  request: EdgeRequest,
  response: EdgeResponse,
  timeoutMs: number,
  onLate: () => void,
): void {
  const timer = setTimeout(() => {
    if (!isRequestReceived(request)) onLate();
  }, timeoutMs).unref();
  const stop = (): void => clearTimeout(timer);
  request.once("end", stop);
  response.once("close", stop);
}

/**
 * Ends a request that came too late: the stream on HTTP/2 (CANCEL, RFC 9113 §7), the connection on HTTP/1.1, where nothing else
 * is possible.
 */
export function cutOffRequest(request: EdgeRequest): void {
  if ("stream" in request) request.stream.close(constants.NGHTTP2_CANCEL);
  else request.socket.destroy();
}

/** After an answer, what a peer still owes of its request is waited for no longer than this. */
const lingerMs = 3_000;

/**
 * Once an answer is written, nothing is waited for that the peer still owes of the request: the stream is ended (NO_ERROR,
 * RFC 9113 §8.1), and the connection of HTTP/1.1, whose next request could not be told from the rest of this one. Not at
 * once: node's client takes a stream that is reset before it was read to its end for broken, also by NO_ERROR.
 *
 * @param isCrowded Asked when an answer is written: whether its stream is needed for others.
 */
export function endWithAnswer(request: EdgeRequest, response: EdgeResponse, isCrowded: () => boolean): void {
  if (!("stream" in request)) {
    response.once("finish", () => {
      if (!isRequestReceived(request)) endLater(() => request.socket.destroy(), request);
    });
    return;
  }
  const { stream } = request;
  const end = (): void => {
    if (!stream.closed && !isRequestReceived(request)) stream.close(constants.NGHTTP2_NO_ERROR);
  };
  // The response has handed its trailers to the session by then; they are sent before the stream is reset.
  stream.once("wantTrailers", () => {
    if (isCrowded()) setImmediate(end);
  });
  stream.prependOnceListener("finish", () => {
    // Nobody reads the rest. Node itself would reset a request of which nothing was read, and keep one that is paused.
    stream.resume();
    endLater(end, request);
  });
}

function endLater(end: () => void, request: EdgeRequest): void {
  const timer = setTimeout(end, lingerMs).unref();
  request.once("close", () => clearTimeout(timer));
}
