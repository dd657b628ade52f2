/**
 * The worker: dials the session service, takes runs and works on them.
 *
 * Keeps L4: it stops at once when it is told that a run is lost. Keeps R5: cancel reaches the loop as soon as it
 * arrives. Losing the stream is not losing the lease: it attaches again with what it holds and sends again what was not
 * acknowledged. Keeps L7: runs at once are bounded by credits, the waits between tries by a backoff. Keeps F1: what the
 * service does not take of one run ends that run alone, also when it ends the whole stream.
 */
import { type CallOptions, ConnectError } from "@connectrpc/connect";
import type { RawAttachRequest, RawAttachResponse, RawRunOffer } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { HeldRun, RunCommand } from "../../../gen/atoll/session/v1/attach_pb.ts";
import type { Timer } from "../../kernel/clock.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { callValues } from "../../kernel/rpc/call-context.ts";
import { Redial } from "../../kernel/rpc/hops/redial.ts";
import { RunToken } from "../../kernel/rpc/hops/run-token.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { RunCancelled, RunLost, RunRefused } from "../loop/run-ending.ts";
import { Steering } from "../loop/steering.ts";
import type { SessionMemory } from "../memory/session-memory.ts";
import type { ToolList } from "../tools/tool-list.ts";
import { ResendOneByOne } from "./resend-one-by-one.ts";
import { RunOutlet } from "./run-outlet.ts";
import { workOnOffer } from "./work-on-offer.ts";

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

interface WorkingRun {
  readonly outlet: RunOutlet;
  readonly control: AbortController;
  readonly steering: Steering;
  /** Resolves when the loop has ended, however it did. */
  readonly done: Promise<void>;
  readonly runToken: RunToken;
  resend: Timer | undefined;
  /** Whether the service has refused what it wrote before. */
  wasRefused: boolean;
}

type Frame = RawAttachRequest["frame"];

const resendWaitMs = 250;
const longestReason = 1_024;
/** How long a worker that leaves waits until the service has heard what it gives back. */
const leaveWaitMs = 1_000;

export class Worker {
  readonly #deps: AgentDeps;
  readonly #options: WorkerOptions;
  readonly #tools: ToolList;
  readonly #memory: SessionMemory;
  readonly #runs = new Map<string, WorkingRun>();
  readonly #resending = new ResendOneByOne<WorkingRun>();
  readonly #stop = new AbortController();
  #stream: FrameQueue<{ frame: Frame }> | undefined;
  #isDraining = false;
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
    this.#tools = parts.tools;
    this.#memory = parts.memory;
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
    this.#refuseMore();
    await Promise.allSettled([...this.#runs.values()].map((run) => run.done));
  }

  /** Gives back what it still holds, so that another worker takes it at once, and leaves. */
  async close(): Promise<void> {
    this.#refuseMore();
    for (const run of this.#runs.values()) {
      this.#release(run.outlet, "the worker stops");
      this.#lose(run, "the worker stops");
    }
    await Promise.allSettled([...this.#runs.values()].map((run) => run.done));
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

  #refuseMore(): void {
    this.#isDraining = true;
    this.#say({ case: "drain", value: { $typeName: "atoll.session.v1.WorkerDrain", reason: "the worker stops" } });
  }

  async #attachForEver(): Promise<void> {
    const redial = new Redial(this.#deps.clock);
    while (!this.#isLeaving) {
      try {
        await this.#attachOnce(() => redial.reached());
        if (this.#isLeaving) return;
        this.#resending.ended(undefined, this.#runs.values());
        this.#deps.log.info({}, "the session service ended the worker's stream");
      } catch (error) {
        if (this.#isLeaving) return;
        this.#deps.log.warn({ error: String(error) }, "the session service can't be reached; trying again");
        const guilty = this.#resending.ended(error, this.#runs.values());
        if (guilty !== undefined) {
          const { rawMessage } = ConnectError.from(error);
          this.#refuse(guilty, guilty.outlet.nextUnacked, ErrorReason.MESSAGE_TOO_LARGE, rawMessage);
        }
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
    const stream = new FrameQueue<{ frame: Frame }>();
    const held = [...this.#runs.values()];
    const credits = this.#freeCredits();
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
          held: held.map(({ outlet }) => heldOf(outlet)),
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
          for (const lost of frame.value.lost) this.#loseKey(lost);
          void this.#resending.resend([...this.#runs.values()], () => this.#stream === stream);
          // A run that ended between hello and welcome had no stream to give its credit back on.
          if (this.#freeCredits() > credits) this.#sayCredits(this.#freeCredits() - credits);
          renewal = this.#renewEvery(frame.value.renewIntervalMs, (timer) => {
            renewal = timer;
          });
          onWelcome();
          this.#deps.log.info({ workerId: this.#options.workerId, held: held.length }, "attached as a worker");
          this.#attached.resolve();
        } else {
          this.#hear(frame);
        }
      }
    } finally {
      renewal?.cancel();
      stream.end();
    }
  }

  /** Ends a run with a reason: what it wrote from this batch on is not stored, and never will be. */
  #refuse(run: WorkingRun, batchNo: number, reason: ErrorReason, message: string): void {
    const { runId } = run.outlet.key;
    this.#deps.log.error({ runId, batchNo, message }, "what a run wrote was refused; the run ends");
    if (run.wasRefused) {
      // Not even its end is taken: the lease ends, and another worker takes the run up.
      this.#release(run.outlet, message.slice(0, longestReason));
      this.#lose(run, message);
      return;
    }
    run.wasRefused = true;
    const refused = new RunRefused(reason, message);
    run.control.abort(refused);
    run.outlet.restartAt(batchNo, refused);
  }

  #freeCredits(): number {
    return this.#isDraining ? 0 : Math.max(0, this.#options.capacity - this.#runs.size);
  }

  #sayCredits(credits: number): void {
    this.#say({ case: "credits", value: { $typeName: "atoll.session.v1.AddCredits", credits } });
  }

  #renewEvery(intervalMs: number, onArm: (timer: Timer) => void): Timer {
    return this.#deps.clock.setTimer(intervalMs, () => {
      const held = [...this.#runs.values()].map(({ outlet }) => heldOf(outlet));
      this.#say({ case: "renew", value: { $typeName: "atoll.session.v1.RenewLeases", held } });
      onArm(this.#renewEvery(intervalMs, onArm));
    });
  }

  #hear(frame: RawAttachResponse["frame"]): void {
    switch (frame.case) {
      case "offer":
        this.#take(frame.value);
        return;
      case "accepted": {
        const run = this.#runs.get(frame.value.runId);
        // An earlier epoch of the same run counted its batches from 1 as well.
        if (run?.outlet.key.epoch === Number(frame.value.epoch)) run.outlet.accepted(frame.value);
        return;
      }
      case "refused": {
        const run = this.#runs.get(frame.value.runId);
        if (run === undefined || run.outlet.key.epoch !== Number(frame.value.epoch)) return;
        switch (run.outlet.refused(frame.value)) {
          case "lost":
            this.#lose(run, frame.value.message);
            return;
          case "broken":
            this.#refuse(run, Number(frame.value.batchNo), ErrorReason.EVENT_NOT_ALLOWED, frame.value.message);
            return;
          case "resend":
            run.resend ??= this.#deps.clock.setTimer(resendWaitMs, () => {
              run.resend = undefined;
              run.outlet.resend();
            });
        }
        return;
      }
      case "command":
        this.#obey(frame.value);
        return;
      case "renewed":
        for (const lost of frame.value.lost) this.#loseKey(lost);
        for (const { runId, epoch, runToken } of frame.value.tokens) {
          const run = this.#runs.get(runId);
          if (run?.outlet.key.epoch === Number(epoch)) run.runToken.renew(runToken);
        }
        return;
      case "drain":
        this.#stream?.end();
        return;
      case "welcome":
      case undefined:
        return;
    }
  }

  #obey({ runId, commandId, command }: RunCommand): void {
    const run = this.#runs.get(runId);
    if (run === undefined) return;
    switch (command.case) {
      case "cancel":
        run.control.abort(new RunCancelled(command.value.cancelledBy));
        return;
      case "steer": {
        const { messageId, message } = command.value;
        run.steering.hear(Number(commandId), { messageId, content: message?.content ?? [] });
        return;
      }
      default:
        this.#deps.log.warn({ runId, command: command.case }, "a command that this worker does not know");
    }
  }

  #take(offer: RawRunOffer): void {
    const { run, session } = offer;
    if (run === undefined || session === undefined) return;
    const key = { sessionId: run.sessionId, runId: run.runId, epoch: Number(run.epoch) };
    if (this.#isDraining) {
      const held = { $typeName: "atoll.session.v1.HeldRun" as const, ...key, epoch: run.epoch, ackedBatchNo: 0n };
      this.#say({
        case: "release",
        value: { $typeName: "atoll.session.v1.ReleaseRun", run: held, reason: "the worker drains" },
      });
      return;
    }
    const before = this.#runs.get(run.runId);
    if (before !== undefined) this.#lose(before, "offered again under a newer epoch");
    const outlet = new RunOutlet(key, (batch) => {
      const held = this.#runs.get(key.runId);
      if (held === undefined || !this.#resending.holdsBack(held)) this.#say({ case: "batch", value: batch });
    });
    const control = new AbortController();
    const steering = new Steering();
    const parts = { deps: this.#deps, tools: this.#tools, memory: this.#memory, left: this.#stop.signal };
    const runToken = new RunToken(offer.runToken);
    const work = workOnOffer(parts, offer, { outlet, steering, runToken, signal: control.signal });
    const done = work.then((end) => {
      // What could not be written down stays with the lease: it ends, and another worker takes the run up.
      if (end.kind === "failed") this.#release(outlet, end.reason);
      working.resend?.cancel();
      if (this.#runs.get(run.runId) === working) this.#runs.delete(run.runId);
      if (!this.#isDraining)
        this.#say({ case: "credits", value: { $typeName: "atoll.session.v1.AddCredits", credits: 1 } });
    });
    const working: WorkingRun = { outlet, control, steering, done, runToken, resend: undefined, wasRefused: false };
    this.#runs.set(run.runId, working);
  }

  #loseKey({ runId, epoch }: HeldRun): void {
    const run = this.#runs.get(runId);
    if (run !== undefined && run.outlet.key.epoch === Number(epoch))
      this.#lose(run, "somebody else has it, or it ended");
  }

  #lose(run: WorkingRun, why: string): void {
    const lost = new RunLost(why);
    run.control.abort(lost);
    run.outlet.fail(lost);
  }

  #release(outlet: RunOutlet, reason: string): void {
    this.#say({ case: "release", value: { $typeName: "atoll.session.v1.ReleaseRun", run: heldOf(outlet), reason } });
  }

  /** What is said without a stream is lost: leases and batches are said again when the worker has attached. */
  #say(frame: Frame): void {
    this.#stream?.offer({ frame });
  }
}

function heldOf(outlet: RunOutlet): HeldRun {
  return { $typeName: "atoll.session.v1.HeldRun", ...outlet.held() };
}
