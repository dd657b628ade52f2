/** What must hold for every request that was sent: R1, T1. */
import { existsSync } from "node:fs";
import { type AppliedEvent, readHistory, type WriterRecord } from "./history.ts";
import type { FinalLog } from "./read-logs.ts";

export interface WriterFacts {
  sent: number;
  accepted: number;
  answers: number;
  refused: number;
  unknown: number;
  cancels: number;
  calls: number;
}

type Answer = Extract<WriterRecord, { kind: "answer" }>;

interface Sent {
  readonly mark: string;
  readonly mode: string;
  readonly answers: Answer[];
  refused: string;
}

/** Modes in which each message makes a run. */
const ownRun: ReadonlySet<string> = new Set(["followup", "interrupt"]);

/** Every session that an answer named. */
export async function sessionsOf(files: readonly string[]): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const file of files) {
    for await (const record of readHistory<WriterRecord>(file)) if (record.kind === "answer") ids.add(record.sessionId);
  }
  return ids;
}

export async function checkWriters(
  files: readonly string[],
  callHistory: string,
  logs: ReadonlyMap<string, FinalLog>,
  report: (problem: string) => void,
): Promise<WriterFacts> {
  const facts: WriterFacts = { sent: 0, accepted: 0, answers: 0, refused: 0, unknown: 0, cancels: 0, calls: 0 };
  const requests = new Map<string, Sent>();
  for (const file of files) {
    for await (const record of readHistory<WriterRecord>(file)) {
      switch (record.kind) {
        case "send":
          requests.set(record.requestId, { mark: record.mark, mode: record.mode, answers: [], refused: "" });
          break;
        case "answer":
          requests.get(record.requestId)?.answers.push(record);
          facts.answers += 1;
          break;
        case "refused": {
          const sent = requests.get(record.requestId);
          if (sent !== undefined) sent.refused = record.reason;
          break;
        }
        case "cancel":
          facts.cancels += 1;
          break;
      }
    }
  }
  const received = readMessages(logs, report);
  const runOwners = new Map<string, string>();
  for (const [requestId, sent] of requests) {
    facts.sent += 1;
    const [first] = sent.answers;
    const found = received.get(sent.mark) ?? [];
    if (found.length > 1) report(`R1 ${requestId}: ${found.length} messages in the log`);
    if (first === undefined) {
      if (sent.refused === "") facts.unknown += 1;
      else facts.refused += 1;
      if (sent.refused !== "" && found.length > 0) report(`R1 ${requestId}: refused (${sent.refused}), yet in the log`);
      continue;
    }
    facts.accepted += 1;
    for (const answer of sent.answers) {
      const isSame = answer.runId === first.runId && answer.messageId === first.messageId && answer.seq === first.seq;
      if (!isSame) report(`R1 ${requestId}: answered ${JSON.stringify(first)} and ${JSON.stringify(answer)}`);
    }
    // What did not steer or join has a run of its own.
    if (ownRun.has(sent.mode)) {
      const other = runOwners.get(first.runId);
      if (other !== undefined) report(`R1 ${requestId}: answered with the run of ${other}`);
      runOwners.set(first.runId, requestId);
    }
    const [message] = found;
    if (message === undefined) report(`lost ${requestId}: accepted as ${first.messageId}, not in the log`);
    else if (message.messageId !== first.messageId || message.seq !== first.seq) {
      report(
        `R1 ${requestId}: answered ${first.messageId} at ${first.seq}, the log has ${message.messageId} at ${message.seq}`,
      );
    }
  }
  await checkCalls(callHistory, facts, report);
  return facts;
}

interface FoundMessage {
  readonly messageId: string;
  readonly seq: number;
}

/** By mark. Reports messages that no run answers. */
function readMessages(
  logs: ReadonlyMap<string, FinalLog>,
  report: (problem: string) => void,
): Map<string, FoundMessage[]> {
  const byMark = new Map<string, FoundMessage[]>();
  for (const { sessionId, events } of logs.values()) {
    const ended = new Set(events.filter(({ body }) => body === "runFinished").map(({ run }) => run));
    const queuedIn = new Map<string, string>();
    for (const { body, run, messages } of events) {
      if (body === "runQueued") for (const id of messages ?? []) queuedIn.set(id, run);
    }
    const read = readBySteps(events);
    const started = new Set<string>();
    for (const { body, seq, run, mark = "", messages } of events) {
      if (body === "runStarted") started.add(run);
      if (body !== "messageReceived") continue;
      const messageId = messages?.[0] ?? "";
      byMark.set(mark, [...(byMark.get(mark) ?? []), { messageId, seq }]);
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

/** Messages that steered a run and that a step read which stands: a discarded one read nothing. */
function readBySteps(events: readonly AppliedEvent[]): Set<string> {
  const bySteps = new Map<string, readonly string[]>();
  for (const { body, run, step, discarded = 0, messages = [] } of events) {
    if (body === "stepStarted") bySteps.set(`${run} ${step}`, messages);
    if (body === "stepDiscarded") bySteps.delete(`${run} ${discarded}`);
  }
  return new Set([...bySteps.values()].flat());
}

/** A line of the recording tool's history. */
interface ToolRecord {
  readonly tool: string;
  readonly args: { readonly text?: string };
}

/** A tool that was not allowed to repeat was called once, if at all. */
async function checkCalls(file: string, facts: WriterFacts, report: (problem: string) => void): Promise<void> {
  if (!existsSync(file)) return;
  const calls = new Map<string, number>();
  for await (const { tool, args } of readHistory<ToolRecord>(file)) {
    if (tool !== "echo" && tool !== "slow") continue;
    const mark = args.text ?? "";
    calls.set(mark, (calls.get(mark) ?? 0) + 1);
  }
  facts.calls = calls.size;
  for (const [mark, count] of calls) if (count > 1) report(`T1 the tool was called ${count} times for ${mark}`);
}
