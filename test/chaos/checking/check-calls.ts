/** What must hold between the log and the tool, which writes down each call before it has its effect: T1. */
import { existsSync } from "node:fs";
import { readHistory } from "../history.ts";
import type { FinalLog } from "./read-logs.ts";

/** A line of the recording tool's history. */
interface ToolRecord {
  readonly tool: string;
  readonly args: { readonly text?: string };
}

/** Tools that are not allowed to repeat: each was called once for a message, if at all. */
const recorded: ReadonlySet<string> = new Set(["echo", "slow"]);

/** Returns for how many messages a tool was called. Without a history no tool was called. */
export async function checkCalls(
  file: string,
  logs: ReadonlyMap<string, FinalLog>,
  report: (problem: string) => void,
): Promise<number> {
  const calls = new Map<string, number>();
  if (existsSync(file)) {
    for await (const { tool, args } of readHistory<ToolRecord>(file)) {
      if (!recorded.has(tool)) continue;
      const mark = args.text ?? "";
      calls.set(mark, (calls.get(mark) ?? 0) + 1);
    }
  }
  for (const [mark, count] of calls) if (count > 1) report(`T1 the tool was called ${count} times for ${mark}`);
  for (const { call, mark } of succeededCalls(logs)) {
    if (calls.has(mark)) continue;
    report(`T1 call ${call} succeeded for ${mark}, yet the tool was never called for it`);
  }
  return calls.size;
}

/** Calls of recorded tools that the log says were answered, with the mark that they were given. */
function* succeededCalls(logs: ReadonlyMap<string, FinalLog>): Generator<{ call: string; mark: string }> {
  for (const { events } of logs.values()) {
    const marks = new Map<string, string>();
    for (const { body, call = "", tool = "", argument = "", succeeded } of events) {
      const isRecorded = recorded.has(tool.replace("recorder.", ""));
      if (body === "toolCallProposed" && isRecorded) marks.set(call, argument);
      const mark = marks.get(call);
      if (body === "toolCallFinished" && succeeded === true && mark !== undefined) yield { call, mark };
    }
  }
}
