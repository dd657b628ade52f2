/**
 * Lists and judges the tools of a server while it answers, without holding the event loop.
 *
 * Keeps L7: tools are judged for some milliseconds at a time and for 10 s in all.
 */
import { setImmediate as letOthersRun } from "node:timers/promises";
import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../kernel/log.ts";
import type { McpConnection } from "../mcp/mcp-connection.ts";
import { isWanted, type McpServerSettings } from "../servers/server-settings.ts";
import { type JudgedTools, ToolJudge } from "./judge-tools.ts";

const sliceMs = 8;
const maxJudgingMs = 10_000;
const maxLoggedTools = 20;

export interface ToolListing extends JudgedTools {
  /** Whether the list ended too early, so that asking again may bring more. */
  readonly isIncomplete: boolean;
  /** What judging took of this thread's time, in milliseconds. */
  readonly judgingMs: number;
}

/** Throws only when the server does not answer at all. */
export async function listServerTools(
  server: string,
  settings: McpServerSettings,
  connection: McpConnection,
  signal: AbortSignal,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<ToolListing> {
  const judge = new ToolJudge(server, settings);
  let listProblem = "";
  let spentMs = 0;
  for await (const page of connection.listTools(signal)) {
    if (page.kind === "problem") {
      listProblem = page.problem;
      break;
    }
    let [sliceBeganMs, cpuBeganMs] = [clock.monotonicMs(), cpuMs()];
    for (const entry of page.entries) {
      if (spentMs > maxJudgingMs) break;
      if (isUnwanted(settings, entry)) continue;
      judge.add(entry);
      if (clock.monotonicMs() - sliceBeganMs < sliceMs) continue;
      spentMs += cpuMs() - cpuBeganMs;
      await letOthersRun();
      [sliceBeganMs, cpuBeganMs] = [clock.monotonicMs(), cpuMs()];
    }
    spentMs += cpuMs() - cpuBeganMs;
    if (spentMs > maxJudgingMs) {
      listProblem = `its tools take more than ${maxJudgingMs} ms to be judged; the rest is left out`;
    }
    if (spentMs > maxJudgingMs || judge.isFull) break;
  }
  const judged = judge.finish(listProblem);
  const unusable = [...judged.unusable.values()]
    .slice(0, maxLoggedTools)
    .map(({ name, problem }) => ({ name, problem }));
  if (judged.problem !== "")
    log.warn({ problem: judged.problem, unusable }, "a list of tools is not usable as a whole");
  return { ...judged, isIncomplete: listProblem !== "", judgingMs: spentMs };
}

/** Of this thread: what other programs take of a busy machine is no fault of the list. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** What the operator left out is not judged: it is nobody's problem. */
function isUnwanted(settings: McpServerSettings, entry: unknown): boolean {
  const name: unknown = typeof entry === "object" && entry !== null && "name" in entry ? entry.name : undefined;
  return typeof name === "string" && !isWanted(settings, name);
}
