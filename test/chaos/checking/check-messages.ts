/** What must hold for every message of a log: it makes one run or is read by one, and no run comes of anything else (R1). */
import type { AppliedEvent } from "../history.ts";
import type { FinalLog } from "./read-logs.ts";

export interface FoundMessage {
  readonly messageId: string;
  readonly seq: number;
  /** The run that it made, joined or steered. */
  readonly run: string;
}

/** By mark. Reports messages that no run answers, and runs that are not one to one with what makes them. */
export function checkMessages(
  logs: ReadonlyMap<string, FinalLog>,
  report: (problem: string) => void,
): Map<string, FoundMessage[]> {
  const byMark = new Map<string, FoundMessage[]>();
  for (const { sessionId, events } of logs.values()) {
    const ended = new Set(events.filter(({ body }) => body === "runFinished").map(({ run }) => run));
    const read = readBySteps(events);
    const queuedIn = checkQueued(sessionId, events, read, report);
    const started = new Set<string>();
    for (const { body, seq, run, mark = "", messages } of events) {
      if (body === "runStarted") started.add(run);
      if (body !== "messageReceived") continue;
      const messageId = messages?.[0] ?? "";
      byMark.set(mark, [...(byMark.get(mark) ?? []), { messageId, seq, run }]);
      const answeredBy = queuedIn.get(messageId) ?? run;
      // One that joined while the run waited is read with its first step.
      if (started.has(run) && !queuedIn.has(messageId) && !read.has(messageId)) {
        report(
          `lost ${sessionId}: no step of run ${run} read message ${messageId}, and no other run was queued for it`,
        );
      }
      if (!ended.has(answeredBy)) report(`lost ${sessionId}: no run that ended answers message ${messageId}`);
    }
  }
  return byMark;
}

/** The run that was queued for a message, by message. A message moves on only when the run that it steered did not read it. */
function checkQueued(
  sessionId: string,
  events: readonly AppliedEvent[],
  read: ReadonlyMap<string, string>,
  report: (problem: string) => void,
): Map<string, string> {
  const queuedIn = new Map<string, string>();
  const received = new Set<string>();
  for (const { body, run, messages = [] } of events) {
    if (body === "messageReceived") for (const id of messages) received.add(id);
    if (body !== "runQueued") continue;
    if (messages.length === 0) report(`R1 ${sessionId}: ${run} is queued for no message`);
    for (const id of messages) {
      const known = queuedIn.get(id);
      const reader = read.get(id);
      if (known !== undefined) report(`R1 ${sessionId}: message ${id} is queued in ${known} and in ${run}`);
      if (!received.has(id)) {
        report(`R1 ${sessionId}: ${run} is queued for message ${id}, which did not come before it`);
      }
      if (reader !== undefined && reader !== run) {
        report(`R1 ${sessionId}: message ${id} was read by ${reader} and is queued in ${run}`);
      }
      queuedIn.set(id, run);
    }
  }
  return queuedIn;
}

/** Messages that steered a run, with the run of which a step that stands read them: a discarded one read nothing. */
function readBySteps(events: readonly AppliedEvent[]): Map<string, string> {
  const bySteps = new Map<string, Pick<AppliedEvent, "run" | "messages">>();
  for (const { body, run, step, discarded = 0, messages = [] } of events) {
    if (body === "stepStarted") bySteps.set(`${run} ${step}`, { run, messages });
    if (body === "stepDiscarded") bySteps.delete(`${run} ${discarded}`);
  }
  return new Map([...bySteps.values()].flatMap(({ run, messages = [] }) => messages.map((id) => [id, run] as const)));
}
