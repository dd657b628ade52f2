/**
 * The progress of one tool call on its way into the log.
 *
 * Keeps L7: each event is durable and goes to every reader, so that a tool which tells of every byte writes no more than
 * one each interval. Between them the latest wins, as each says the whole state.
 */
import type { ToolProgress } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { Clock, Timer } from "../../kernel/clock.ts";
import type { EventWriter } from "../loop/event-writer.ts";

/** The least time between two progress events of one call. */
const leastIntervalMs = 100;

export class ProgressPace {
  readonly #writer: EventWriter;
  readonly #clock: Clock;
  #latest: ToolProgress | undefined;
  /** Runs while the interval behind the last event has not passed. */
  #interval: Timer | undefined;

  constructor(writer: EventWriter, clock: Clock) {
    this.#writer = writer;
    this.#clock = clock;
  }

  /** Writes the progress at once, or at the end of the interval unless a later one replaces it. */
  write(progress: ToolProgress): void {
    this.#latest = progress;
    if (this.#interval === undefined && this.#writeLatest()) this.#beginInterval();
  }

  /** Writes what still waits: the last state stands in front of the call's outcome. */
  end(): void {
    this.#interval?.cancel();
    this.#interval = undefined;
    this.#writeLatest();
  }

  #beginInterval(): void {
    const passed = (): void => {
      this.#interval = undefined;
      if (this.#writeLatest()) this.#beginInterval();
    };
    this.#interval = this.#clock.setTimer(leastIntervalMs, passed);
  }

  #writeLatest(): boolean {
    const latest = this.#latest;
    if (latest === undefined) return false;
    this.#latest = undefined;
    this.#writer.write({ case: "toolProgress", value: latest });
    return true;
  }
}
