/** How a run stands: one quiet line below it. */
import { ParkReason, Phase, RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import type { RunTurn } from "../../client/fold/conversation.ts";
import { durationText } from "../relative-time.ts";

export function RunStateLine({ run }: { readonly run: RunTurn }) {
  const { state } = run;
  switch (state.kind) {
    case "queued":
      return <Working text={state.position === 0 ? "Waiting for a worker" : `Waiting, ${state.position} before it`} />;
    case "running":
      return <Working text={phaseTexts[state.phase] ?? "Working"} />;
    case "waiting":
      return <Working text={`Waiting for the model, ${durationText(state.waitMs)} (${state.retry} of ${state.of})`} />;
    case "parked":
      return <Working text={parkTexts[state.reason] ?? "Waiting for something outside"} />;
    case "finished":
      return <FinishedLine run={run} state={state} />;
  }
}

function Working({ text }: { readonly text: string }) {
  return (
    <p className="run-state">
      <span className="wave" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      {text}
    </p>
  );
}

interface FinishedLineProps {
  readonly run: RunTurn;
  readonly state: Extract<RunTurn["state"], { kind: "finished" }>;
}

function FinishedLine({ run, state }: FinishedLineProps) {
  const parts = [
    statusTexts[state.status] ?? "Ended",
    run.step > 1 ? `${run.step} steps` : "",
    state.durationMs > 0 ? durationText(state.durationMs) : "",
    run.model,
  ].filter((part) => part !== "");
  const isBad = state.status === RunStatus.FAILED || state.status === RunStatus.BUDGET_EXCEEDED;
  return (
    <>
      {isBad && (
        <p className="problem" role="alert">
          {state.failure?.message || statusTexts[state.status]}
          {state.failure?.retryable && " Sending the message again may help."}
        </p>
      )}
      <p className="run-state">{parts.join(" · ")}</p>
    </>
  );
}

const phaseTexts: Readonly<Record<number, string>> = {
  [Phase.THINK]: "Thinking",
  [Phase.ACT]: "Using tools",
  [Phase.OBSERVE]: "Reading results",
  [Phase.REFLECT]: "Checking its work",
};

const parkTexts: Readonly<Record<number, string>> = {
  [ParkReason.APPROVAL]: "Waiting for an approval",
  [ParkReason.QUESTION]: "Waiting for an answer",
  [ParkReason.SUBAGENT]: "Waiting for another agent",
  [ParkReason.TIMER]: "Waiting for its time",
};

const statusTexts: Readonly<Record<number, string>> = {
  [RunStatus.COMPLETED]: "Completed",
  [RunStatus.FAILED]: "Failed",
  [RunStatus.CANCELLED]: "Stopped",
  [RunStatus.BUDGET_EXCEEDED]: "Its budget ran out",
};
