/**
 * Cuts off readers that take nothing.
 *
 * Keeps L7: an answer that is on its way is not kept for a peer that does not read; its stream ends, and with it all
 * that was held for it. Nobody is cut off who is merely idle (nothing is on its way) or slow (something was taken since
 * the last look). Nothing is lost: a reader of a log goes on from the last event that it has (S2).
 *
 * The frame with READER_STALLED could not be delivered: the peer sees RST_STREAM(CANCEL) on HTTP/2, where the
 * connection's other streams go on, and the end of the connection on HTTP/1.1. Streams of one connection share its window:
 * one that is not read may starve the others, which get time to recover when it is gone. When none of them does, the peer
 * takes nothing at all, and is cut off as a whole (F4).
 */
import type { Http2Session } from "node:http2";
import { cutOffRequest, type EdgeRequest, type EdgeResponse } from "../listener/request-timeouts.ts";
import { countPendingBytes } from "./unread-answers.ts";

export interface StallWatchdog {
  /** Watches an answer until it is closed. */
  watch(request: EdgeRequest, response: EdgeResponse, on: StallCallbacks): void;
  /** Looks no more. */
  close(): void;
}

export interface StallCallbacks {
  /** Called just before the answer is cut off. */
  readonly onStalled: (pendingBytes: number) => void;
  /** Cuts off the whole connection: none of its `answers` was taken since one of them was cut off. */
  readonly onPeerStalled: (answers: number, pendingBytes: number) => void;
}

interface WatchedAnswer {
  readonly request: EdgeRequest;
  readonly response: EdgeResponse;
  readonly on: StallCallbacks;
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
  /** What waited beside a stream that was cut off, as long as nothing was taken of any of it since. */
  const starved = new WeakMap<Http2Session, ReadonlySet<WatchedAnswer>>();
  const intervalMs = Math.min(longestLookIntervalMs, Math.ceil(timeoutMs / 8));

  const look = (answer: WatchedAnswer): void => {
    const pendingBytes = countPendingBytes(answer.response);
    if (pendingBytes === 0 || pendingBytes !== answer.pendingBytes) {
      if (pendingBytes < answer.pendingBytes) goesOn(answer);
      answer.pendingBytes = pendingBytes;
      answer.stalledMs = 0;
      return;
    }
    // Counted in looks and not by the clock: when this process did not run, nobody could take anything.
    answer.stalledMs += intervalMs;
    if (answer.stalledMs < allowedMs(pendingBytes)) return;
    answers.delete(answer);
    const session = sessionOf(answer);
    const beside = [...answers].filter((other) => session !== undefined && sessionOf(other) === session);
    if (session !== undefined && starved.get(session)?.has(answer) === true) {
      for (const other of beside) answers.delete(other);
      const all = [answer, ...beside];
      const bytes = all.reduce((sum, { response }) => sum + countPendingBytes(response), 0);
      answer.on.onPeerStalled(all.length, bytes);
      return;
    }
    answer.on.onStalled(pendingBytes);
    for (const other of beside) {
      other.stalledMs = Math.min(other.stalledMs, allowedMs(other.pendingBytes) * starvedShare);
    }
    if (session !== undefined) starved.set(session, new Set(beside.filter((other) => other.pendingBytes > 0)));
    cutOff(answer.request);
  };
  const allowedMs = (pendingBytes: number): number => timeoutMs * Math.max(1, pendingBytes / unseenBytes);
  const goesOn = (answer: WatchedAnswer): void => {
    const session = sessionOf(answer);
    if (session !== undefined) starved.delete(session);
  };
  const timer = setInterval(() => {
    for (const answer of answers) look(answer);
  }, intervalMs).unref();

  return {
    watch(request, response, on) {
      const answer: WatchedAnswer = { request, response, on, pendingBytes: 0, stalledMs: 0 };
      answers.add(answer);
      response.once("close", () => answers.delete(answer));
      // Between two looks as much may have come as was taken.
      response.on("drain", () => {
        answer.stalledMs = 0;
        goesOn(answer);
      });
    },
    close() {
      clearInterval(timer);
    },
  };
}

function sessionOf({ request }: WatchedAnswer): Http2Session | undefined {
  return "stream" in request ? request.stream.session : undefined;
}

/**
 * Ends the answer and frees what was kept for it, whether or not its peer hears of it. CANCEL, also where many answers of a
 * caller are unread: clients take it for a connection that broke and go on from their cursor, and RESOURCE_EXHAUSTED, which
 * they make of ENHANCE_YOUR_CALM, for a refusal that comes again.
 */
export function cutOff(request: EdgeRequest): void {
  cutOffRequest(request);
  // The reset may wait behind what the peer does not take, and the handler must not wait with it.
  if ("stream" in request) setImmediate(() => request.stream.destroy());
}
