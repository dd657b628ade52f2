/** A conversation while one of its runs is worked on. Keeps S8: what was discarded is gone, and the log is told of it once. */
import type { DiscardReason } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import type { HistoryMended } from "../../../gen/atoll/event/v1/model_events_pb.ts";
import type { Mends } from "../models/mend-messages.ts";
import type { Conversation, ConversationRun, SteerMessage, Step } from "./conversation.ts";
import { forgetOldMedia } from "./forget-media.ts";
import { forgetThinking, withoutReasoning } from "./forget-thinking.ts";
import type { MendedHistory } from "./mended-history.ts";
import { discardStep, newStep } from "./run-steps.ts";

/** As StepDiscarded names it. */
export interface VoidStep {
  readonly step: number;
  readonly attempt: number;
  readonly reason: DiscardReason;
}

/** A run in work: its steps are its own, so that what the loop does never changes what was folded from the log. */
export class WorkingConversation implements Conversation {
  runs: readonly ConversationRun[];
  readonly run: ConversationRun;
  /** Tools that the run was told to be left out. */
  readonly leftOutTools = new Set<string>();
  readonly #voided: VoidStep[] = [];
  readonly #untold: Step[] = [];
  readonly #mended: MendedHistory;

  constructor(earlier: readonly ConversationRun[], run: ConversationRun, mended: MendedHistory) {
    const steps = run.steps.map((step) => ({ ...step, items: step.items.map((item) => ({ ...item })) }));
    this.run = { ...run, steps, unread: [...run.unread] };
    this.runs = [...earlier, this.run];
    this.#mended = mended.copy();
  }

  /** What stands in place of blocks that a model's API refused. */
  get mends(): Mends {
    return this.#mended.mends;
  }

  /** A model's API took the conversation with these changes. */
  mend({ blocks, withoutThinking }: Pick<HistoryMended, "blocks" | "withoutThinking">): void {
    this.#mended.add(blocks);
    if (!withoutThinking) return;
    forgetThinking(this.run);
    // Those that went before are the fold's.
    this.runs = this.runs.map((run) => (run === this.run ? run : withoutReasoning(run)));
  }

  /** Begins a step whose model call reads all that was unread. */
  beginStep(step: number, attempt: number): Step {
    forgetOldMedia(this.runs);
    const begun = newStep(step, attempt, this.run.unread.splice(0));
    this.run.steps.push(begun);
    return begun;
  }

  /** Adds what steers the run, once; says whether it was there already and a step has read it. */
  steer(message: SteerMessage): "unread" | "read" {
    const isIt = ({ messageId }: SteerMessage): boolean => messageId === message.messageId;
    if (this.run.steps.some(({ read }) => read.some(isIt))) return "read";
    if (!this.run.unread.some(isIt)) this.run.unread.push(message);
    return "unread";
  }

  /** What the step had shown is void (S8). The log is told with what takes its place (takeVoided). */
  discardStep({ step, attempt }: Step, reason: DiscardReason): void {
    this.#voided.push({ step, attempt, reason });
    this.#untold.push(...discardStep(this.run, step, attempt));
  }

  /** Gives each step that was discarded once. */
  takeVoided(): readonly VoidStep[] {
    this.#untold.length = 0;
    return this.#voided.splice(0);
  }

  /** Steps that were discarded, and that the log still shows. */
  get untoldSteps(): readonly Step[] {
    return this.#untold;
  }
}
