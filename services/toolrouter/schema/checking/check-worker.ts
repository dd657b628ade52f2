/**
 * One worker thread that checks arguments, and the clock over it: a check that is late costs the thread and nothing else.
 *
 * Keeps L7: it starts within 20 s; compiling a schema has 10 s, a check 3 s; the thread has 256 MiB and ends after 30 s
 * without work.
 */
import path from "node:path";
import { Worker } from "node:worker_threads";
import type { Clock, Timer } from "../../../kernel/clock.ts";
import type { CheckAnswer, CheckRequest } from "./check-messages.ts";
import type { ArgumentCheck } from "./compile-schema.ts";

const startTimeoutMs = 20_000;
export const compileTimeoutMs = 10_000;
export const checkTimeoutMs = 3_000;
const idleMs = 30_000;
/** References that follow one another take stack while they are compiled. */
const resourceLimits = { maxOldGenerationSizeMb: 256, stackSizeMb: 32 };
/** Sources run as they are; what is installed is compiled. */
const threadFile = path.join(import.meta.dirname, `check-thread${path.extname(import.meta.filename)}`);

export type CheckEnd =
  | { readonly kind: "checked"; readonly check: ArgumentCheck }
  /** It took too long or too much memory; `while` tells at what. */
  | { readonly kind: "late"; readonly while: "compiling" | "checking" }
  | { readonly kind: "failed"; readonly problem: string };

type State =
  | { readonly kind: "starting"; readonly timer: Timer }
  | { readonly kind: "idle"; readonly timer: Timer }
  | {
      readonly kind: "busy";
      readonly timer: Timer;
      readonly end: (end: CheckEnd) => void;
      readonly while: "compiling" | "checking";
    }
  | { readonly kind: "over" };

export class CheckWorker {
  readonly #thread: Worker;
  readonly #clock: Clock;
  readonly #onOver: () => void;
  readonly #ready = Promise.withResolvers<boolean>();
  #state: State;

  /** `onOver` is called once, when it has ended for whatever reason. */
  constructor(clock: Clock, onOver: () => void) {
    this.#clock = clock;
    this.#onOver = onOver;
    this.#thread = new Worker(threadFile, { env: {}, execArgv: [], resourceLimits, name: "atoll-check" });
    // Neither an idle thread nor a late one keeps the process alive.
    this.#thread.unref();
    this.#state = { kind: "starting", timer: clock.setTimer(startTimeoutMs, () => this.#end("it did not start")) };
    this.#thread.on("message", (answer: CheckAnswer) => this.#hear(answer));
    this.#thread.on("error", (error: Error) => this.#end(error.message));
    this.#thread.on("exit", () => this.#end("it exited"));
  }

  /** One at a time. Never rejects. */
  async run(request: CheckRequest): Promise<CheckEnd> {
    if (!(await this.#ready.promise) || this.#state.kind === "over")
      return { kind: "failed", problem: "it is not running" };
    const { promise, resolve } = Promise.withResolvers<CheckEnd>();
    this.#timer?.cancel();
    const timer = this.#clock.setTimer(compileTimeoutMs, () => this.#end("it is late"));
    this.#state = { kind: "busy", timer, end: resolve, while: "compiling" };
    this.#thread.postMessage(request);
    return await promise;
  }

  close(): void {
    this.#end("it was closed");
  }

  get #timer(): Timer | undefined {
    return this.#state.kind === "over" ? undefined : this.#state.timer;
  }

  #hear(answer: CheckAnswer): void {
    const state = this.#state;
    switch (answer.kind) {
      case "ready":
        this.#rest();
        this.#ready.resolve(true);
        return;
      case "compiled":
        if (state.kind !== "busy") return;
        state.timer.cancel();
        this.#state = {
          ...state,
          while: "checking",
          timer: this.#clock.setTimer(checkTimeoutMs, () => this.#end("it is late")),
        };
        return;
      case "checked":
        if (state.kind !== "busy") return;
        this.#rest();
        state.end({ kind: "checked", check: answer.check });
    }
  }

  #rest(): void {
    if (this.#state.kind === "over") return;
    this.#timer?.cancel();
    this.#state = { kind: "idle", timer: this.#clock.setTimer(idleMs, () => this.#end("it has nothing to do")) };
  }

  #end(problem: string): void {
    const state = this.#state;
    if (state.kind === "over") return;
    state.timer.cancel();
    this.#state = { kind: "over" };
    this.#ready.resolve(false);
    void this.#thread.terminate();
    this.#onOver();
    if (state.kind !== "busy") return;
    // Out of memory ends a thread as an error does; both are the work's doing.
    state.end(problem === "it was closed" ? { kind: "failed", problem } : { kind: "late", while: state.while });
  }
}
