/**
 * The end of all calls of a process that stops: each is told UNAVAILABLE with DRAINING and when to try again, with the
 * trailers of its protocol, before the connections are closed.
 */
import type { ConnectError } from "@connectrpc/connect";
import { ErrorReason, failure } from "../errors.ts";

/** After so long another process of the service, or this one started again, may answer. */
const retryAfterMs = 500;
/** Unary calls that are being answered get so long to finish. */
const unaryGraceMs = 250;

export class Draining {
  readonly #calls = new Set<(error: ConnectError) => void>();
  readonly #unaryCalls = new Set<(error: ConnectError) => void>();
  #state: "open" | "streams ended" | "ended" = "open";

  /** Calls `end` when the calls end, at once when they have. What is returned takes the call out. */
  watch(kind: "unary" | "stream", end: (error: ConnectError) => void): () => void {
    if (this.#state === "ended" || (kind === "stream" && this.#state === "streams ended")) {
      end(draining());
      return () => undefined;
    }
    const calls = kind === "unary" ? this.#unaryCalls : this.#calls;
    calls.add(end);
    return () => calls.delete(end);
  }

  /** Ends the streams at once and unary calls after a moment; resolves when all were told. Idempotent. */
  async endCalls(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "streams ended";
    endAll(this.#calls);
    if (this.#unaryCalls.size > 0) await new Promise((resolve) => setTimeout(resolve, unaryGraceMs));
    this.#state = "ended";
    endAll(this.#unaryCalls);
  }
}

function endAll(calls: Set<(error: ConnectError) => void>): void {
  for (const end of [...calls]) end(draining());
  calls.clear();
}

function draining(): ConnectError {
  return failure(ErrorReason.DRAINING, "this process of the mesh is stopping: try again, here or elsewhere", {
    retryAfterMs,
  });
}
