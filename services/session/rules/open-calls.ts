/**
 * The tool calls that a run leaves without an outcome, folded from its events, and the outcomes that they get when it
 * ends.
 *
 * Keeps F3: each call that the log shows has one outcome in front of RunFinished. One that had started is in doubt: its
 * tool may be at work. One that had not is not known to have reached it. Pure.
 */

import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { knownOfCall } from "../../kernel/call/known-of-call.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { readEventBody } from "../../kernel/event/wire/read-event-body.ts";

const callCases: ReadonlySet<string | undefined> = new Set<Event["body"]["case"]>([
  "stepDiscarded",
  "toolCallProposed",
  "toolCallStarted",
  "toolCallFinished",
]);
/** Their field numbers. */
const callBodies: ReadonlySet<number> = new Set(
  (EventSchema.oneofs[0]?.fields ?? []).filter(({ localName }) => callCases.has(localName)).map(({ number }) => number),
);

/** Whether an event has a say in which calls are open; the others need not be decoded. */
export function isOfCalls(bytes: Uint8Array): boolean {
  return callBodies.has(readEventBody(bytes));
}

/** The same of an event that was decoded. */
export function isCallEvent({ body }: Event): boolean {
  return callCases.has(body.case);
}

export interface OpenCall {
  readonly callId: string;
  readonly step: number;
  /** Of the worker that made it. */
  readonly attempt: number;
  readonly hasStarted: boolean;
}

/** Of one run. */
export class OpenCalls {
  readonly #open = new Map<string, OpenCall>();

  /** In the order in which they were proposed. */
  get all(): readonly OpenCall[] {
    return [...this.#open.values()];
  }

  /** Takes the run's next event. */
  apply({ body, step, attempt }: Event): void {
    switch (body.case) {
      case "toolCallProposed":
        this.#propose({ callId: body.value.callId, step, attempt });
        return;
      case "toolCallStarted": {
        // Where retention has removed the proposal, this is the first that is heard of it.
        const { callId } = body.value;
        this.#set({ ...(this.#open.get(callId) ?? { callId, step, attempt }), hasStarted: true });
        return;
      }
      case "toolCallFinished":
        this.#open.delete(body.value.callId);
        return;
      case "stepDiscarded":
        this.#discard(body.value);
        return;
      default:
        return;
    }
  }

  #propose(call: Omit<OpenCall, "hasStarted">): void {
    this.#set({ ...call, hasStarted: this.#open.get(call.callId)?.hasStarted ?? false });
  }

  /** A call that had started may have had its effect: it stays, as the fold of every reader shows it. */
  #discard({ step, attempt }: Pick<OpenCall, "step" | "attempt">): void {
    for (const call of this.#open.values()) {
      if (!call.hasStarted && call.step === step && call.attempt === attempt) this.#open.delete(call.callId);
    }
  }

  #set(call: OpenCall): void {
    this.#open.set(call.callId, call);
  }
}

/** The run's last events with an outcome for each call that is open in front of the very last one, RunFinished. */
export function withCallEndings(
  run: { readonly runId: string; readonly attempt: number },
  calls: OpenCalls,
  last: readonly Uint8Array[],
): readonly Uint8Array[] {
  const endings = calls.all.map((call) => callEnding(run, call));
  return endings.length === 0 ? last : [...last.slice(0, -1), ...endings, ...last.slice(-1)];
}

/** ToolCallFinished, encoded without server fields. */
export function callEnding(
  { runId, attempt }: { readonly runId: string; readonly attempt: number },
  { callId, step, hasStarted }: OpenCall,
): Uint8Array {
  const problem = "the run was ended before its worker said how the call ended";
  const { outcome, reason, message } = knownOfCall(
    hasStarted ? { kind: "in-doubt", problem } : { kind: "run-ended-before" },
  );
  return encodeEvent({
    ...{ runId, attempt, step },
    body: { case: "toolCallFinished", value: { callId, outcome, reason, message } },
  });
}
