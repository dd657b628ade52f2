/** What must hold for every reader: S1, S2, S6. */

import { type AppliedEvent, type ReaderRecord, readHistory } from "../history.ts";
import { Fold } from "./fold.ts";
import type { FinalLog } from "./read-logs.ts";

export interface ReaderFacts {
  readonly sessionId: string;
  /** Whether it reads as fast as it can. */
  readonly isPrompt: boolean;
  readonly streams: number;
  readonly events: number;
  /** Times of everything that it was given. */
  readonly framesAtMs: readonly number[];
}

/** Bodies that a filtered reader does not see; the same as reader.ts asks for. */
const hidden: ReadonlySet<string> = new Set(["textDelta", "phaseChanged"]);

export async function checkReader(
  file: string,
  logs: ReadonlyMap<string, FinalLog>,
  report: (problem: string) => void,
): Promise<ReaderFacts> {
  const name = file.replace(/^.*reader-|\.jsonl$/g, "");
  const isFiltered = name.endsWith("filtered");
  const fold = new Fold();
  const framesAtMs: number[] = [];
  const excluded: AppliedEvent[] = [];
  let [cursor, streams, events, isFirst, logId] = [0, 0, 0, true, ""];
  for await (const record of readHistory<ReaderRecord>(file)) {
    switch (record.kind) {
      case "open":
        streams += 1;
        isFirst = true;
        if (record.after !== cursor) report(`reader ${name}: asked for ${record.after}, had ${cursor}`);
        break;
      case "life":
        framesAtMs.push(record.atMs);
        break;
      case "events":
        framesAtMs.push(record.atMs);
        if (logId !== "" && record.logId !== logId) report(`S5 reader ${name}: the log changed to ${record.logId}`);
        logId = record.logId;
        for (const event of record.events) {
          if (!follows(event, cursor, isFirst)) {
            report(`S1 reader ${name}: after ${cursor} came ${event.first}..${event.seq}${isFirst ? " first" : ""}`);
          }
          isFirst = false;
          cursor = event.seq;
          events += 1;
          if (isFiltered && hidden.has(event.body)) excluded.push(event);
          fold.apply(event, isFiltered ? hidden : undefined);
        }
        break;
      case "broken":
        // Whatever is down has a name; what has none is a mistake of ours.
        if (record.why.includes("a fault of ours")) report(`L9 reader ${name}: ${record.why}`);
        break;
    }
  }
  const [sent] = excluded;
  if (sent !== undefined) {
    report(
      `S6 reader ${name}: was sent ${excluded.length} bodies that it excludes, the first a ${sent.body} at seq ${sent.seq}`,
    );
  }
  const log = [...logs.values()].find((each) => each.logId === logId);
  if (log === undefined) {
    report(`reader ${name}: read no log that is known (${logId})`);
    return { sessionId: "", isPrompt: false, streams, events, framesAtMs };
  }
  if (cursor !== log.headSeq) report(`S2 reader ${name}: stopped at ${cursor}, the head is ${log.headSeq}`);
  const whole = new Fold();
  for (const event of log.events) whole.apply(event, isFiltered ? hidden : undefined);
  for (const problem of fold.problems) report(`S3 reader ${name}: ${problem}`);
  if (cursor === log.headSeq && fold.digest() !== whole.digest()) {
    report(`S6 reader ${name}: what it read folds to ${fold.digest()}, a fresh read to ${whole.digest()}`);
  }
  return { sessionId: log.sessionId, isPrompt: !name.endsWith("slow"), streams, events, framesAtMs };
}

/** Only the first event of a stream may begin at or before the cursor (S2). */
function follows({ first, seq }: AppliedEvent, cursor: number, isFirst: boolean): boolean {
  return isFirst ? first <= cursor + 1 && seq > cursor : first === cursor + 1;
}
