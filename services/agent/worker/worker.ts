/**
 * The worker: dials the session service and attaches, again and again, with what it holds.
 *
 * Losing the stream is not losing the lease (L4): it attaches again and sends again what was not acknowledged. Keeps L7: the
 * waits between tries are bounded by a backoff.
 */
import type { CallOptions } from "@connectrpc/connect";
import type { Timer } from "../../kernel/clock.ts";
import { callValues } from "../../kernel/rpc/call-context.ts";
import { Redial } from "../../kernel/rpc/hops/redial.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";
import type { AgentDeps } from "../agent-deps.ts";
import type { SessionMemory } from "../memory/session-memory.ts";
import type { ToolList } from "../tools/tool-list.ts";
import { type WorkerFrame, WorkingRuns } from "./working-runs.ts";

export interface WorkerOptions {
  readonly workerId: string;
  /** Runs that it takes at once. Default 64. */
  readonly capacity: number;
  readonly version: string;
  /** With which it attaches, and does nothing else. */
  readonly workerToken: string;
  /** Default: the pool without a name. */
  readonly pool?: string;
  /** Default: none. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** How long a worker that leaves waits until the service has heard what it gives back. */
const leaveWaitMs = 1_000;

export class Worker {
  readonly #deps: AgentDeps;
  readonly #options: WorkerOptions;
  readonly #runs: WorkingRuns;
  readonly #stop = new AbortController();
  #stream: FrameQueue<{ frame: WorkerFrame }> | undefined;
  #isLeaving = false;
  #attached = Promise.withResolvers<void>();
  #loop: Promise<void> | undefined;

  constructor(
    deps: AgentDeps,
    options: WorkerOptions,
    parts: { readonly tools: ToolList; readonly memory: SessionMemory },
  ) {
    this.#deps = deps;
    this.#options = options;
    const say = (frame: WorkerFrame): void => this.#say(frame);
    this.#runs = new WorkingRuns({ ...parts, deps, left: this.#stop.signal }, options.capacity, say);
  }

  start(): void {
    this.#loop = this.#attachForEver();
  }

  /** Resolves when the session service has welcomed the worker for the first time. */
  attached(): Promise<void> {
    return this.#attached.promise;
  }

  isAttached(): boolean {
    return this.#stream !== undefined;
  }

  /** Takes no new runs and waits for the ones that it has. */
  async drain(): Promise<void> {
    this.#runs.refuseMore();
    await this.#runs.allDone();
  }

  /** Gives back what it still holds, so that another worker takes it at once, and leaves. */
  async close(): Promise<void> {
    this.#runs.refuseMore();
    this.#runs.giveBackAll("the worker stops");
    await this.#runs.allDone();
    await this.#leave();
    this.#stop.abort();
    await this.#loop;
    this.#stream = undefined;
  }

  /** Ends the stream and lets what was said on it arrive: the service ends its half when it has read all of it. */
  async #leave(): Promise<void> {
    this.#isLeaving = true;
    if (this.#stream === undefined) return;
    this.#stream.end();
    const late = Promise.withResolvers<void>();
    const timer = this.#deps.clock.setTimer(leaveWaitMs, late.resolve);
    await Promise.race([this.#loop, late.promise]);
    timer.cancel();
  }

  async #attachForEver(): Promise<void> {
    const redial = new Redial(this.#deps.clock);
    while (!this.#isLeaving) {
      try {
        await this.#attachOnce(() => redial.reached());
        if (this.#isLeaving) return;
        this.#runs.streamEnded(undefined);
        this.#deps.log.info({}, "the session service ended the worker's stream");
      } catch (error) {
        if (this.#isLeaving) return;
        this.#deps.log.warn({ error: String(error) }, "the session service can't be reached; trying again");
        this.#runs.streamEnded(error);
      }
      this.#stream = undefined;
      try {
        await redial.wait(this.#stop.signal);
      } catch {
        return;
      }
    }
  }

  async #attachOnce(onWelcome: () => void): Promise<void> {
    const stream = new FrameQueue<{ frame: WorkerFrame }>();
    const held = this.#runs.listHeld();
    const credits = this.#runs.freeCredits;
    stream.offer({
      frame: {
        case: "hello",
        value: {
          $typeName: "atoll.session.v1.WorkerHello",
          workerId: this.#options.workerId,
          tenant: "",
          // Every agent: a run of one that is not configured any more ends with a reason instead of waiting for ever.
          agentIds: [],
          pool: this.#options.pool ?? "",
          labels: { ...this.#options.labels },
          credits,
          held,
          version: this.#options.version,
        },
      },
    });
    let renewal: Timer | undefined;
    try {
      const options: CallOptions = {
        headers: { authorization: `Bearer ${this.#options.workerToken}` },
        contextValues: callValues(undefined, ""),
        signal: this.#stop.signal,
      };
      for await (const { frame } of this.#deps.session.attach(stream, options)) {
        if (frame.case === "welcome") {
          this.#stream = stream;
          this.#runs.loseAll(frame.value.lost);
          this.#runs.resend(() => this.#stream === stream);
          // A run that ended between hello and welcome had no stream to give its credit back on.
          const freed = this.#runs.freeCredits - credits;
          if (freed > 0) this.#sayCredits(freed);
          renewal = this.#renewEvery(frame.value.renewIntervalMs, (timer) => {
            renewal = timer;
          });
          onWelcome();
          this.#deps.log.info({ workerId: this.#options.workerId, held: held.length }, "attached as a worker");
          this.#attached.resolve();
        } else if (frame.case === "drain") {
          this.#stream?.end();
        } else {
          this.#runs.hear(frame);
        }
      }
    } finally {
      renewal?.cancel();
      stream.end();
    }
  }

  #sayCredits(credits: number): void {
    this.#say({ case: "credits", value: { $typeName: "atoll.session.v1.AddCredits", credits } });
  }

  #renewEvery(intervalMs: number, onArm: (timer: Timer) => void): Timer {
    return this.#deps.clock.setTimer(intervalMs, () => {
      const held = this.#runs.listHeld();
      this.#say({ case: "renew", value: { $typeName: "atoll.session.v1.RenewLeases", held } });
      onArm(this.#renewEvery(intervalMs, onArm));
    });
  }

  #say(frame: WorkerFrame): void {
    this.#stream?.offer({ frame });
  }
}
