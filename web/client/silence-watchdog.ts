/** Notices that a stream is silent: a connection can be cut without either end being told. */

export interface Watchdog {
  /** Aborted when the caller's signal is, or after the silence. */
  readonly signal: AbortSignal;
  /** Starts to count, from zero. */
  readonly listen: () => void;
  /** Stops to count, while the reader itself is busy. */
  readonly pause: () => void;
  /** Whether the silence was what aborted the signal. */
  readonly wasSilent: () => boolean;
  /** Aborts the signal, so that the stream is let go, and frees everything. */
  readonly close: () => void;
}

export function openWatchdog(callerSignal: AbortSignal | undefined, silenceTimeoutMs: number): Watchdog {
  const controller = new AbortController();
  const stop = () => controller.abort(callerSignal?.reason);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let silent = false;
  if (callerSignal?.aborted) stop();
  callerSignal?.addEventListener("abort", stop);
  const pause = () => clearTimeout(timer);
  return {
    signal: controller.signal,
    listen: () => {
      pause();
      timer = setTimeout(() => {
        silent = true;
        controller.abort();
      }, silenceTimeoutMs);
    },
    pause,
    wasSilent: () => silent,
    close: () => {
      pause();
      callerSignal?.removeEventListener("abort", stop);
      controller.abort();
    },
  };
}
