/**
 * The tool calls that a run leaves without an outcome, folded from its events, and the outcomes that they get when it is
 * ended by somebody else than the worker that made them.
 *
 * Keeps F3: each call that the log shows has one outcome in front of RunFinished. One that had started is in doubt: its
 * tool may be at work. One that had not is not known to have reached it. Pure.
 */

import { fromBinary } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { knownOfCall } from "../../kernel/call/known-of-call.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { readEventBody } from "../../kernel/event/wire/read-event-body.ts";

/** Field numbers of step_discarded, tool_call_proposed, tool_call_started and tool_call_finished. */
const callBodies: ReadonlySet<number> = new Set([23, 24, 25, 27]);
const stepStartedField = 21;

/** Whether an event has a say in which calls are open; the others need not be decoded. */
export function isOfCalls(bytes: Uint8Array): boolean {
  return callBodies.has(readEventBody(bytes));
}

/** Whether a step begins with the event: all calls of the steps before it have their outcomes. */
export function beginsStep(bytes: Uint8Array): boolean {
  return readEventBody(bytes) === stepStartedField;
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
        this.#set({ callId: body.value.callId, step, attempt, hasStarted: false });
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
        for (const call of this.#open.values()) {
          if (call.step === body.value.step && call.attempt === body.value.attempt) this.#open.delete(call.callId);
        }
        return;
      default:
        return;
    }
  }

  #set(call: OpenCall): void {
    this.#open.set(call.callId, call);
  }
}

/** The run's last events with an outcome for each call that they leave open in front of the very last one, RunFinished. */
export function withCallEndings(
  run: { readonly runId: string; readonly attempt: number },
  before: readonly Uint8Array[],
  last: readonly Uint8Array[],
): readonly Uint8Array[] {
  const calls = new OpenCalls();
  for (const bytes of [...before, ...last]) if (isOfCalls(bytes)) calls.apply(fromBinary(EventSchema, bytes));
  const endings = calls.all.map((call) => callEnding(run, call));
  return [...last.slice(0, -1), ...endings, ...last.slice(-1)];
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
