/**
 * The runs that a worker has: taken from offers, told what the session service says of them, ended or given back.
 *
 * Keeps L4: a run stops at once when it is told that it is lost. Keeps R5: cancel reaches the loop as soon as it arrives.
 * Keeps L7: runs at once are bounded by credits. Keeps F1: what the service does not take of one run ends that run alone,
 * also when it ends the whole stream.
 */
import { ConnectError } from "@connectrpc/connect";
import type { RawAttachRequest, RawAttachResponse, RawRunOffer } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { HeldRun, RunCommand } from "../../../gen/atoll/session/v1/attach_pb.ts";
import type { Timer } from "../../kernel/clock.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { RunToken } from "../../kernel/rpc/hops/run-token.ts";
import { RunCancelled, RunLost, RunRefused } from "../loop/run-ending.ts";
import { Steering } from "../loop/steering.ts";
import { ResendOneByOne } from "./resend-one-by-one.ts";
import { RunOutlet } from "./run-outlet.ts";
import { type WorkerParts, workOnOffer } from "./work-on-offer.ts";

/** What a worker says on its stream. */
export type WorkerFrame = RawAttachRequest["frame"];

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

const resendWaitMs = 250;
const longestReason = 1_024;

export class WorkingRuns {
  readonly #parts: WorkerParts;
  readonly #capacity: number;
  readonly #say: (frame: WorkerFrame) => void;
  readonly #runs = new Map<string, WorkingRun>();
  readonly #resending = new ResendOneByOne<WorkingRun>();
  #isDraining = false;

  /** What is said without a stream is lost: leases and batches are said again when the worker has attached. */
  constructor(parts: WorkerParts, capacity: number, say: (frame: WorkerFrame) => void) {
    this.#parts = parts;
    this.#capacity = capacity;
    this.#say = say;
  }

  /** How many more runs it takes now. */
  get freeCredits(): number {
    return this.#isDraining ? 0 : Math.max(0, this.#capacity - this.#runs.size);
  }

  /** For hello and renewals. */
  listHeld(): HeldRun[] {
    return [...this.#runs.values()].map(({ outlet }) => heldOf(outlet));
  }

  /** Takes no new runs from now on. */
  refuseMore(): void {
    this.#isDraining = true;
    this.#say({ case: "drain", value: { $typeName: "atoll.session.v1.WorkerDrain", reason: "the worker stops" } });
  }

  /** Resolves when the loops of all runs have ended. */
  async allDone(): Promise<void> {
    await Promise.allSettled([...this.#runs.values()].map((run) => run.done));
  }

  /** Another worker takes them at once. */
  giveBackAll(why: string): void {
    for (const run of this.#runs.values()) {
      this.#release(run.outlet, why);
      this.#lose(run, why);
    }
  }

  /** Hears what is said of runs; what is said of the stream is none of its business. */
  hear(frame: RawAttachResponse["frame"]): void {
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
      case "refused":
        this.#hearRefusal(frame.value);
        return;
      case "command":
        this.#obey(frame.value);
        return;
      case "renewed":
        this.loseAll(frame.value.lost);
        for (const { runId, epoch, runToken } of frame.value.tokens) {
          const run = this.#runs.get(runId);
          if (run?.outlet.key.epoch === Number(epoch)) run.runToken.renew(runToken);
        }
        return;
      case "drain":
      case "welcome":
      case undefined:
        return;
    }
  }

  loseAll(keys: readonly HeldRun[]): void {
    for (const { runId, epoch } of keys) {
      const run = this.#runs.get(runId);
      if (run !== undefined && run.outlet.key.epoch === Number(epoch))
        this.#lose(run, "somebody else has it, or it ended");
    }
  }

  /** Sends again what was not acknowledged. `isCurrent` says whether the stream is still there. */
  resend(isCurrent: () => boolean): void {
    void this.#resending.resend([...this.#runs.values()], isCurrent);
  }

  /** The stream has ended, with an error or without; a run that made it end is refused. */
  streamEnded(error: unknown): void {
    const guilty = this.#resending.ended(error, this.#runs.values());
    if (guilty === undefined) return;
    const { rawMessage } = ConnectError.from(error);
    this.#refuse(guilty, guilty.outlet.nextUnacked, ErrorReason.MESSAGE_TOO_LARGE, rawMessage);
  }

  #hearRefusal(refusal: Extract<RawAttachResponse["frame"], { case: "refused" }>["value"]): void {
    const run = this.#runs.get(refusal.runId);
    if (run === undefined || run.outlet.key.epoch !== Number(refusal.epoch)) return;
    switch (run.outlet.refused(refusal)) {
      case "lost":
        this.#lose(run, refusal.message);
        return;
      case "broken":
        this.#refuse(run, Number(refusal.batchNo), ErrorReason.EVENT_NOT_ALLOWED, refusal.message);
        return;
      case "resend":
        run.resend ??= this.#parts.deps.clock.setTimer(resendWaitMs, () => {
          run.resend = undefined;
          run.outlet.resend();
        });
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
        this.#parts.deps.log.warn({ runId, command: command.case }, "a command that this worker does not know");
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
    const runToken = new RunToken(offer.runToken);
    const work = workOnOffer(this.#parts, offer, { outlet, steering, runToken, signal: control.signal });
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

  /** Ends a run with a reason: what it wrote from this batch on is not stored, and never will be. */
  #refuse(run: WorkingRun, batchNo: number, reason: ErrorReason, message: string): void {
    const { runId } = run.outlet.key;
    this.#parts.deps.log.error({ runId, batchNo, message }, "what a run wrote was refused; the run ends");
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

  #lose(run: WorkingRun, why: string): void {
    const lost = new RunLost(why);
    run.control.abort(lost);
    run.outlet.fail(lost);
  }

  #release(outlet: RunOutlet, reason: string): void {
    this.#say({ case: "release", value: { $typeName: "atoll.session.v1.ReleaseRun", run: heldOf(outlet), reason } });
  }
}

function heldOf(outlet: RunOutlet): HeldRun {
  return { $typeName: "atoll.session.v1.HeldRun", ...outlet.held() };
}
