/**
 * Cuts off readers that take nothing.
 *
 * Keeps L7: an answer that is on its way is not kept for a peer that does not read; its stream ends, and with it all
 * that was held for it. Nobody is cut off who is merely idle (nothing is on its way) or slow (something was taken since
 * the last look). Nothing is lost: a reader of a log goes on from the last event that it has (S2).
 *
 * The frame with READER_STALLED could not be delivered: the peer sees RST_STREAM(CANCEL) on HTTP/2, where the
 * connection's other streams go on, and the end of the connection on HTTP/1.1. Streams of one connection share its window:
 * one that is not read may starve the others, which get time to recover when it is gone.
 */
import { cutOffRequest, type EdgeRequest, type EdgeResponse } from "./request-timeouts.ts";

export interface StallWatchdog {
  /** Watches an answer until it is closed. `onStalled` is called just before it is cut off. */
  watch(request: EdgeRequest, response: EdgeResponse, onStalled: (pendingBytes: number) => void): void;
  /** Looks no more. */
  close(): void;
}

interface WatchedAnswer {
  readonly request: EdgeRequest;
  readonly response: EdgeResponse;
  readonly onStalled: (pendingBytes: number) => void;
  pendingBytes: number;
  stalledMs: number;
}

const longestLookIntervalMs = 1_000;
/**
 * What the connection took of a write that is not done can't be seen. A larger write may take that many times as long, so
 * that only who takes less than this in the whole time is cut off.
 */
const unseenBytes = 131_072;

/** How much of its time is left to an answer that was perhaps starved by another one: a quarter. */
const starvedShare = 0.75;

/** One timer for all answers of a listener. */
export function createStallWatchdog(timeoutMs: number): StallWatchdog {
  const answers = new Set<WatchedAnswer>();
  const intervalMs = Math.min(longestLookIntervalMs, Math.ceil(timeoutMs / 8));

  const look = (answer: WatchedAnswer): void => {
    const pendingBytes = countPendingBytes(answer.response);
    if (pendingBytes === 0 || pendingBytes !== answer.pendingBytes) {
      answer.pendingBytes = pendingBytes;
      answer.stalledMs = 0;
      return;
    }
    // Counted in looks and not by the clock: when this process did not run, nobody could take anything.
    answer.stalledMs += intervalMs;
    if (answer.stalledMs < timeoutMs * Math.max(1, pendingBytes / unseenBytes)) return;
    answers.delete(answer);
    answer.onStalled(pendingBytes);
    for (const other of answers) {
      if (isBeside(answer.request, other.request))
        other.stalledMs = Math.min(other.stalledMs, timeoutMs * starvedShare);
    }
    cutOff(answer.request);
  };
  const timer = setInterval(() => {
    for (const answer of answers) look(answer);
  }, intervalMs).unref();

  return {
    watch(request, response, onStalled) {
      const answer: WatchedAnswer = { request, response, onStalled, pendingBytes: 0, stalledMs: 0 };
      answers.add(answer);
      response.once("close", () => answers.delete(answer));
      // Between two looks as much may have come as was taken.
      response.on("drain", () => {
        answer.stalledMs = 0;
      });
    },
    close() {
      clearInterval(timer);
    },
  };
}

/** Bytes that were handed to the connection and that it has not taken. */
function countPendingBytes(response: EdgeResponse): number {
  return "stream" in response ? (response.stream?.writableLength ?? 0) : response.writableLength;
}

function isBeside(one: EdgeRequest, other: EdgeRequest): boolean {
  if (!("stream" in one) || !("stream" in other)) return false;
  return one.stream.session !== undefined && one.stream.session === other.stream.session;
}

function cutOff(request: EdgeRequest): void {
  cutOffRequest(request);
  // The reset may wait behind what the peer does not take, and the handler must not wait with it.
  if ("stream" in request) setImmediate(() => request.stream.destroy());
}
