/**
 * Waits for a tool router that can't be reached just now, as when it is started again.
 *
 * Keeps R2 on the worker's side: a run does not fail because a service restarts. Keeps L7: nobody waits for ever.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "../../kernel/clock.ts";
import { ErrorReason, failureFacts } from "../../kernel/errors.ts";
import { Redial } from "../../kernel/rpc/hops/redial.ts";

/** How long a router may be away, from the moment since which nothing was heard of it. */
const longestAwayMs = 30_000;

export class RouterAway {
  readonly #clock: Clock;
  readonly #redial: Redial;
  #untilMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#redial = new Redial(clock);
  }

  /** The router was heard: when it goes away now, that is another time. */
  heard(): void {
    this.#untilMs = undefined;
    this.#redial.reached();
  }

  /**
   * After a call that failed with `error`: waits and says true when it may succeed if it is made again, false when it is
   * to fail. Rejects with the signal's reason as soon as it aborts.
   */
  async mayComeBack(error: unknown, signal: AbortSignal): Promise<boolean> {
    if (!isUnreachable(error)) {
      // It is the router that said so.
      this.heard();
      return false;
    }
    const nowMs = this.#clock.monotonicMs();
    this.#untilMs ??= nowMs + longestAwayMs;
    if (nowMs >= this.#untilMs) return false;
    await this.#redial.wait(signal);
    return true;
  }
}

const awayReasons: ReadonlySet<ErrorReason> = new Set([
  ErrorReason.PEER_UNAVAILABLE,
  ErrorReason.STORE_UNAVAILABLE,
  ErrorReason.DRAINING,
]);

function isUnreachable(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  const { reason } = failureFacts(error);
  return error.code === Code.Unavailable && (reason === undefined || awayReasons.has(reason));
}
