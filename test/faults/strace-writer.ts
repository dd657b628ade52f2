// Runs the store writer (test/support/store-writer.ts) under strace, which makes one of its system calls fail or deadly,
// and checks what is in the files afterwards against what the writer had acknowledged.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { checkLogs, openSessionStore } from "../../services/session/store/open-session-store.ts";

const writer = join(import.meta.dirname, "../support/store-writer.ts");
const scope = { tenant: "local", principal: "user:local" };
/** A writer that meets no fault must end some time. */
const endTimeoutMs = 60_000;

export interface Fault {
  /** Names of system calls; the fault hits the `count`-th of each. */
  readonly calls: readonly string[];
  readonly count: number;
  readonly effect: "signal=SIGKILL" | "error=EIO" | "error=ENOSPC";
}

export interface WriterEnd {
  /** What the writer had acknowledged, in order. */
  readonly acknowledged: readonly string[];
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Only calls on the database and its write-ahead log count. strace ends as the writer did, also by its signal. */
export async function writeUnderFault(folder: string, { calls, count, effect }: Fault): Promise<WriterEnd> {
  const names = calls.join(",");
  const files = ["session.db", "session.db-wal"].flatMap((name) => ["-P", join(folder, name)]);
  const child = spawn(
    "strace",
    // biome-ignore format: one option a line says less
    ["-f", "-qq", "-o", "/dev/null", ...files, "-e", `trace=${names}`, "-e", `inject=${names}:${effect}:when=${count}`,
      process.execPath, writer, folder],
    { stdio: ["ignore", "pipe", "ignore"] },
  );
  const ended = new Promise<Pick<WriterEnd, "code" | "signal">>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  const timer = setTimeout(() => child.kill("SIGTERM"), endTimeoutMs);
  const acknowledged: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) acknowledged.push(line);
  const end = await ended;
  clearTimeout(timer);
  return { acknowledged, ...end };
}

/**
 * What is wrong with the store in `folder`: damage that `checkLogs` sees before anybody opens it and after, and
 * acknowledged changes that are not there. Empty when all is well.
 */
export async function findLosses(folder: string, acknowledged: readonly string[]): Promise<string[]> {
  const losses = await findDamage(folder);
  const store = await openSessionStore(folder, Date.now);
  const heads = new Map<string, number>();
  for (const line of acknowledged) {
    const [kind, runId = "", seq = ""] = line.split(" ");
    const run = await store.getRun(scope, runId);
    if (run === undefined) {
      losses.push(`${line}: there is no such run`);
      continue;
    }
    const { sessionId, batchNo } = run;
    if (!heads.has(sessionId)) {
      heads.set(sessionId, (await store.getSession(scope, { sessionId }))?.headSeq ?? 0);
    }
    const headSeq = heads.get(sessionId) ?? 0;
    if (headSeq < Number(seq)) losses.push(`${line}: the head is ${headSeq}`);
    if (kind === "batch" && batchNo === 0) losses.push(`${line}: the run has no batch`);
  }
  await store.close();
  return [...losses, ...(await findDamage(folder))];
}

async function findDamage(folder: string): Promise<string[]> {
  const check = await checkLogs(folder);
  switch (check.kind) {
    case "checked":
      return check.findings.map(({ sessionId, seq, problem }) => `session ${sessionId}, event ${seq}: ${problem}`);
    case "unreadable":
      // A writer that was killed before its first commit leaves an empty database, which any start completes.
      return check.problem.includes("has schema 0") ? [] : [check.problem];
    case "absent":
      return [];
    case "in-use":
      return ["a process has the store open"];
  }
}
