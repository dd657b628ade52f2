/**
 * What SIGTERM and SIGINT do: the first drains, the second closes at once, the third ends the process on the spot.
 *
 * Keeps L9: each of them is said in the log.
 */
import type { Lifecycle, StopReport } from "./lifecycle.ts";
import type { Log } from "./log.ts";

export interface SignalOptions {
  readonly log: Log;
  /** Milliseconds that the drain after the first signal may take. */
  readonly drainTimeoutMs: number;
}

export interface SignalStop {
  readonly signal: NodeJS.Signals;
  readonly report: StopReport;
  /** 0 when everything was drained and closed, 1 when something was not. */
  readonly exitCode: 0 | 1;
}

export interface SignalWatch {
  /** Resolves when a signal has stopped the mesh; never before, never rejects. */
  readonly stopped: Promise<SignalStop>;
  /** Stops listening, for a mesh that ends by itself. */
  remove(): void;
}

const signals = ["SIGTERM", "SIGINT"] as const;
/** What a shell reports for a program that Ctrl-C ended. */
const abruptExitCode = 130;

/** Stops the lifecycle on signals. The caller sets the exit code and leaves when `stopped` resolves. */
export function onSignals(lifecycle: Lifecycle, { log, drainTimeoutMs }: SignalOptions): SignalWatch {
  const { promise: stopped, resolve } = Promise.withResolvers<SignalStop>();
  let count = 0;
  const listen = (signal: NodeJS.Signals): void => {
    count += 1;
    if (count === 1) {
      log.info({ signal, drainTimeoutMs }, "draining; a second signal closes at once");
      void lifecycle.drainAndClose({ drainTimeoutMs }).then((report) => {
        resolve({ signal, report, exitCode: report.unfinished.length === 0 ? 0 : 1 });
      });
    } else if (count === 2) {
      log.warn({ signal }, "closing at once; a third signal ends the process on the spot");
      void lifecycle.closeNow();
    } else {
      log.error({ signal }, "ended on the spot");
      process.exit(abruptExitCode);
    }
  };
  for (const signal of signals) process.on(signal, listen);
  return {
    stopped,
    remove: () => {
      for (const signal of signals) process.off(signal, listen);
    },
  };
}
