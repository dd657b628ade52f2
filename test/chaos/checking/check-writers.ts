/** What must hold for every request that was sent: R1. */

import { readHistory, type WriterRecord } from "../history.ts";
import { checkCalls } from "./check-calls.ts";
import { checkMessages } from "./check-messages.ts";
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
type Refusal = Extract<WriterRecord, { kind: "refused" }>;

interface Sent {
  readonly mark: string;
  readonly mode: string;
  readonly answers: Answer[];
  readonly refusals: Refusal[];
}

/** Causes of refusals that a busy mesh may give; they change nothing, so that another copy may be accepted. */
const explained: ReadonlySet<string> = new Set(["QUEUE_FULL", "LIMIT_EXCEEDED"]);

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
          requests.set(record.requestId, { mark: record.mark, mode: record.mode, answers: [], refusals: [] });
          break;
        case "answer":
          requests.get(record.requestId)?.answers.push(record);
          facts.answers += 1;
          break;
        case "refused":
          requests.get(record.requestId)?.refusals.push(record);
          break;
        case "cancel":
          facts.cancels += 1;
          break;
      }
    }
  }
  const received = checkMessages(logs, report);
  const runOwners = new Map<string, string>();
  for (const [requestId, sent] of requests) {
    facts.sent += 1;
    const [first] = sent.answers;
    const found = received.get(sent.mark) ?? [];
    if (found.length > 1) report(`R1 ${requestId}: ${found.length} messages in the log`);
    for (const { cause, reason } of sent.refusals) {
      if (isExplained(sent.mode, cause)) continue;
      report(
        first === undefined
          ? `refused ${requestId}: ${reason}, which nothing explains`
          : `R1 ${requestId}: accepted as ${first.messageId}, yet a copy was refused (${reason})`,
      );
    }
    if (first === undefined) {
      const [refusal] = sent.refusals;
      if (refusal === undefined) facts.unknown += 1;
      else facts.refused += 1;
      // A copy of which nothing was heard may have been accepted after one that was refused because all was busy.
      if (refusal !== undefined && found.length > 0 && !isExplained(sent.mode, refusal.cause)) {
        report(`R1 ${requestId}: refused (${refusal.reason}), yet in the log`);
      }
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
    else if (message.messageId !== first.messageId || message.seq !== first.seq || message.run !== first.runId) {
      const answered = `answered ${first.messageId} at ${first.seq} for ${first.runId}`;
      report(`R1 ${requestId}: ${answered}, the log has ${message.messageId} at ${message.seq} for ${message.run}`);
    }
  }
  const marks = new Set([...requests.values()].map(({ mark }) => mark));
  for (const mark of received.keys()) if (!marks.has(mark)) report(`R1 message of ${mark}: nobody sent it`);
  facts.calls = await checkCalls(callHistory, logs, report);
  return facts;
}

/** Only a message that asks to be refused when the session is busy may be refused for that. */
function isExplained(mode: string, cause: string): boolean {
  return cause === "SESSION_BUSY" ? mode === "reject" : explained.has(cause);
}
