/** A reader that comes back at random, from the cursor that it has, on any gateway; it writes down all that it is given. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import type { GatewayService } from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { describeEvent } from "../checking/describe-event.ts";
import { type History, nowMs, openHistory, type ReaderRecord } from "../history.ts";
import type { Random } from "../random.ts";

/** Filtered readers want no deltas; slow ones stop reading for a while, so that the way to them fills up. */
export type ReaderKind = "plain" | "slow" | "filtered";

export interface ReaderOptions {
  readonly name: string;
  readonly kind: ReaderKind;
  readonly sessionId: string;
  readonly clients: readonly Client<typeof GatewayService>[];
  readonly random: Random;
  readonly folder: string;
}

const filteredBodies = ["text_delta", "phase_changed"];
/** A slow reader stays, so that what waits for it grows. */
const longestMs: Readonly<Record<ReaderKind, number>> = { plain: 6_000, filtered: 6_000, slow: 60_000 };

export class Reader {
  readonly #options: ReaderOptions;
  readonly #history: History<ReaderRecord>;
  readonly #loop: Promise<void>;
  /** Runs whose terminal event it has seen. */
  readonly ended = new Set<string>();
  #logId = "";
  #afterSeq = 0;
  #stopped = false;
  #control = new AbortController();

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#history = openHistory(`${options.folder}/reader-${options.name}.jsonl`);
    this.#loop = this.#readForEver();
  }

  /** Reads to the head and ends; gives up when the time comes. */
  async finish(headSeq: number, untilMs: number): Promise<void> {
    while (this.#afterSeq < headSeq && performance.now() < untilMs) await sleep(100);
    this.#stopped = true;
    this.#control.abort();
    await this.#loop;
    this.#history.close();
  }

  async #readForEver(): Promise<void> {
    const { random } = this.#options;
    while (!this.#stopped) {
      const control = new AbortController();
      this.#control = control;
      const timer = setTimeout(() => control.abort(), random.between(200, longestMs[this.#options.kind]));
      try {
        await this.#readOnce(control.signal);
        this.#history.write({ kind: "broken", atMs: nowMs(), why: "ended" });
      } catch (error) {
        this.#history.write({ kind: "broken", atMs: nowMs(), why: String(error).slice(0, 200) });
      } finally {
        clearTimeout(timer);
      }
      await sleep(random.between(10, 100));
    }
  }

  async #readOnce(signal: AbortSignal): Promise<void> {
    const { random, clients, sessionId, kind } = this.#options;
    const client = random.pick(clients);
    this.#history.write({ kind: "open", after: this.#afterSeq, logId: this.#logId, atMs: nowMs() });
    const filter = kind === "filtered" ? { filter: { exclude: filteredBodies } } : {};
    const stream = client.subscribe(
      { sessionId, afterSeq: BigInt(this.#afterSeq), logId: this.#logId, ...filter },
      { signal },
    );
    for await (const { events, logId } of stream) {
      if (events.length === 0) {
        this.#history.write({ kind: "life", atMs: nowMs() });
        continue;
      }
      this.#history.write({ kind: "events", logId, atMs: nowMs(), events: events.map(describeEvent) });
      this.#logId = logId;
      for (const event of events) {
        this.#afterSeq = Number(event.seq);
        if (event.body.case === "runFinished") this.ended.add(event.runId);
      }
      if (kind === "slow" && random.chance(0.05)) await sleep(random.between(100, 12_000));
    }
  }
}
