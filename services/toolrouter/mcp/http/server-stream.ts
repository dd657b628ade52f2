/**
 * The stream of what an HTTP server says by itself (MCP 2025-11-25, Transports §Listening for Messages from the Server).
 *
 * Keeps FS1: a server need not offer it, in whatever way it says so; calls do not depend on it. Keeps L7: it is opened
 * again after 1 s, doubling to 30 s; after 5 failures in a row the server is used without it.
 */
import type { IncomingMessage } from "node:http";
import type { Clock } from "../../../kernel/clock.ts";
import { mediaTypeOf, NoConnection } from "./http-exchange.ts";

const firstReopenMs = 1000;
const lastReopenMs = 30_000;
const maxFailures = 5;
/** A stream that stood so long did not fail. */
const standingMs = 10_000;

export interface ServerStreamParts {
  readonly open: () => Promise<IncomingMessage>;
  /** Resolves at the end of the stream; rejects when it breaks off. */
  readonly read: (response: IncomingMessage) => Promise<void>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onerror: (error: Error) => void;
}

/** Resolves when there is no stream (any more), or nobody listens at the server's address. Never rejects. */
export async function followServerStream({
  open,
  read,
  clock,
  signal,
  onerror,
}: ServerStreamParts): Promise<"no-stream" | NoConnection> {
  for (let failures = 0; failures < maxFailures && !signal.aborted; ) {
    const startedAtMs = clock.monotonicMs();
    try {
      const response = await open();
      if (response.statusCode !== 200 || mediaTypeOf(response) !== "text/event-stream") {
        response.destroy();
        onerror(new Error(`it offers no stream of its own (HTTP ${response.statusCode})`));
        return "no-stream";
      }
      await read(response);
    } catch (error) {
      if (signal.aborted) break;
      if (error instanceof NoConnection) return error;
      onerror(new Error("the server's own stream broke off", { cause: error }));
    }
    failures = clock.monotonicMs() - startedAtMs >= standingMs ? 0 : failures + 1;
    const waitMs = Math.min(lastReopenMs, firstReopenMs * 2 ** failures);
    await clock.sleep(waitMs, signal).catch(() => undefined);
  }
  if (!signal.aborted) onerror(new Error("the server's own stream breaks off again and again; it is used without"));
  return "no-stream";
}
