/** Messages and the life of runs. Keeps R2: what comes after the terminal event does not wake a run again. */
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import {
  type MessageReceived,
  Phase,
  type RunFinished,
  type RunQueued,
} from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { AnswerAction, type QuestionAnswered, type QuestionAsked } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { Note, Question, RunItem, RunState, UserMessage } from "./conversation.ts";
import { addItem, type Draft, findRun, ownItem, ownRun } from "./fold-draft.ts";
import { toNumber } from "./seq-range.ts";

/** A message stands before the run that answers it, or inside the run that it steers. */
export function foldMessage(draft: Draft, event: Event, received: MessageReceived): void {
  const message: UserMessage = {
    kind: "message",
    messageId: received.messageId,
    runId: received.runId,
    content: received.content,
    origin: received.origin,
    timeMs: timeMsOf(event),
  };
  const index = findRun(draft, received.runId);
  const run = draft.turns[index];
  if (run?.kind !== "run") draft.turns.push(message);
  else if (run.state.kind === "queued") draft.turns.splice(index, 0, message);
  else addItem(draft, ownRun(draft, received.runId), message);
}

export function foldRunQueued(draft: Draft, event: Event, queued: RunQueued): void {
  const { agentId, position, messageIds } = queued;
  moveUnread(draft, event.runId, messageIds);
  const run = ownRun(draft, event.runId);
  run.agentId = agentId;
  if (run.state.kind === "queued") run.state = { kind: "queued", position };
}

/** What an ended run was steered with and never read stands before the run that answers it. */
function moveUnread(draft: Draft, runId: string, messageIds: readonly string[]): void {
  for (const messageId of messageIds) {
    const holds = (item: RunItem): item is UserMessage => item.kind === "message" && item.messageId === messageId;
    const from = draft.turns.findLast((turn) => turn.kind === "run" && turn.items.some(holds));
    if (from?.kind !== "run" || from.runId === runId) continue;
    const run = ownRun(draft, from.runId);
    const message = run.items.find(holds);
    run.items = run.items.filter((item) => !holds(item));
    if (message !== undefined) draft.turns.push({ ...message, runId });
  }
}

/** RunStarted and RunResumed. */
export function foldRunTaken(draft: Draft, event: Event, attempt: number): void {
  const run = ownRun(draft, event.runId);
  run.attempt = Math.max(run.attempt, attempt);
  run.startedAtMs ||= timeMsOf(event);
  moveRun(draft, event, { kind: "running", phase: Phase.UNSPECIFIED });
}

export function foldStepStarted(draft: Draft, event: Event, model: string): void {
  const run = ownRun(draft, event.runId);
  run.step = event.step;
  run.model = model;
  moveRun(draft, event, { kind: "running", phase: Phase.UNSPECIFIED });
}

/** Changes the state of a run that has no terminal event yet. */
export function moveRun(draft: Draft, event: Event, state: RunState): void {
  const run = ownRun(draft, event.runId);
  if (run.state.kind !== "finished") run.state = state;
}

export function foldRunFinished(draft: Draft, event: Event, finished: RunFinished): void {
  const { status, failure, duration, cancelledBy } = finished;
  const durationMs = duration === undefined ? 0 : Number(duration.seconds) * 1000 + Math.round(duration.nanos / 1e6);
  moveRun(draft, event, { kind: "finished", status, failure, durationMs, cancelledBy });
}

export function addNote(draft: Draft, event: Event, note: Note["note"]): void {
  addItem(draft, ownRun(draft, event.runId), { kind: "note", seq: toNumber(event.seq), note });
}

export function foldQuestionAsked(draft: Draft, event: Event, { questionId, message }: QuestionAsked): void {
  ownQuestion(draft, event, questionId).message = message;
}

export function foldQuestionAnswered(draft: Draft, event: Event, answered: QuestionAnswered): void {
  const question = ownQuestion(draft, event, answered.questionId);
  question.action = answered.action;
  question.answer = answered.answer.value ?? "";
  question.isJson = answered.answer.case === "contentJson";
  question.answeredBy = answered.answeredBy;
}

/** The question, to be changed in place. One whose beginning is hidden is made on the way. */
function ownQuestion(draft: Draft, event: Event, questionId: string) {
  const run = ownRun(draft, event.runId);
  const known = ownItem(draft, run, "question", (item) => item.questionId === questionId);
  if (known !== undefined) return known;
  const action = AnswerAction.UNSPECIFIED;
  const question = {
    kind: "question",
    questionId,
    message: "",
    action,
    answer: "",
    isJson: false,
    answeredBy: "",
  } as const;
  return addItem<Question>(draft, run, question);
}

/** When the event was committed, milliseconds since 1970; 0 when it does not say. */
function timeMsOf(event: Event): number {
  return event.time === undefined ? 0 : Number(event.time.seconds) * 1000 + Math.floor(event.time.nanos / 1e6);
}
