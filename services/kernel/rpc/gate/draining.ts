/**
 * The end of all calls of a process that stops: each is told UNAVAILABLE with DRAINING and when to try again, with the
 * trailers of its protocol, before the connections are closed.
 */
import type { ConnectError } from "@connectrpc/connect";
import { ErrorReason, failure } from "../../errors.ts";

/** After so long another process of the service, or this one started again, may answer. */
const retryAfterMs = 500;
/** Calls that are being answered get so long to finish: streams, to bring the last words of the runs that have ended. */
const graceMs = 500;
const lookEveryMs = 10;

export class Draining {
  readonly #calls = new Set<(error: ConnectError) => void>();
  readonly #unaryCalls = new Set<(error: ConnectError) => void>();
  #state: "open" | "no more streams" | "ended" = "open";

  /** Calls `end` when the calls end, at once when they have. What is returned takes the call out. */
  watch(kind: "unary" | "stream", end: (error: ConnectError) => void): () => void {
    if (this.#state === "ended" || (kind === "stream" && this.#state === "no more streams")) {
      end(draining());
      return () => undefined;
    }
    const calls = kind === "unary" ? this.#unaryCalls : this.#calls;
    calls.add(end);
    return () => calls.delete(end);
  }

  /** Ends all calls after a moment, or as soon as none is left; resolves when all were told. Idempotent. */
  async endCalls(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "no more streams";
    for (
      let waitedMs = 0;
      waitedMs < graceMs && this.#calls.size + this.#unaryCalls.size > 0;
      waitedMs += lookEveryMs
    ) {
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
    this.#state = "ended";
    endAll(this.#calls);
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
