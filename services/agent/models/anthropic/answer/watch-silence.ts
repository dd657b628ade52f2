/**
 * Notices when nothing comes for too long while somebody listens. One timer for a whole answer: hearing something costs a
 * clock's reading.
 */
import type { Clock, Timer } from "../../../../kernel/clock.ts";

export interface SilenceWatch {
  /** Aborts when nothing was heard for `silenceMs`. */
  readonly signal: AbortSignal;
  /** From now on something must come. So it is at the beginning. */
  listen(): void;
  /** Something came, and until `listen` nobody waits for more: a reader that is held up is no silence. */
  heard(): void;
  end(): void;
}

export function watchSilence(clock: Clock, silenceMs: number): SilenceWatch {
  const control = new AbortController();
  let listensSinceMs: number | undefined = clock.monotonicMs();
  let timer: Timer;
  const look = (): void => {
    const nowMs = clock.monotonicMs();
    const leftMs = silenceMs - (nowMs - (listensSinceMs ?? nowMs));
    if (leftMs <= 0) control.abort(new Error(`nothing came for ${silenceMs} ms`));
    else timer = clock.setTimer(leftMs, look);
  };
  timer = clock.setTimer(silenceMs, look);
  return {
    signal: control.signal,
    listen: () => {
      listensSinceMs = clock.monotonicMs();
    },
    heard: () => {
      listensSinceMs = undefined;
    },
    end: () => timer.cancel(),
  };
}
