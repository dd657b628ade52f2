/**
 * Opening a long session over RPC, in a process of its own: a client has neither the load's heap nor its code. Whoever calls
 * the session service is a process of the mesh that has been up for a while: the median of many rounds.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { readEventRange } from "../../../services/kernel/event/wire/read-event-range.ts";
import { FrameQueue } from "../../../services/kernel/stream/frame-queue.ts";
import { endWithBench } from "../end-in-time.ts";
import { pinProcess } from "../pin-cores.ts";
import { median } from "../quantiles.ts";
import { peerOf, type RemoteSession, type SessionClient } from "./remote-session.ts";

const rounds = 15;

export interface Resume {
  readonly events: number;
  /** The snapshot of what was written just now. */
  readonly writtenSnapshotMs: number;
  /** From the end of the writing until compaction has been everywhere. */
  readonly compactedAfterMs: number;
  /** The snapshot once compaction has been there. */
  readonly snapshotMs: number;
  readonly watchMs: number;
}

export interface Opener {
  /** What a client waits that opens a long session: its snapshot, and a watcher from the beginning to the head. */
  readonly measure: (sessionId: string) => Promise<Resume>;
  readonly stop: () => void;
}

/** Resolves when it is up and has opened another long session often enough for V8 to have compiled what is hot. */
export async function startOpener({ url, dataDir }: RemoteSession, anotherId: string): Promise<Opener> {
  const args = ["--heap-growing-percent=150", import.meta.filename, url, dataDir, anotherId];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  endWithBench(child);
  // It asks, and then waits for the answer: it is never at work together with the service.
  pinProcess(child.pid ?? 0, "alone");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error("the client that opens sessions ended");
    return value;
  };
  await line();
  return {
    async measure(sessionId) {
      child.stdin.write(`${sessionId}\n`);
      return JSON.parse(await line());
    },
    stop: () => child.stdin.end(),
  };
}

async function main(url: string, dataDir: string, anotherId: string): Promise<void> {
  const client = peerOf(url, dataDir).open();
  await resume(client, anotherId);
  process.stdout.write("up\n");
  for await (const sessionId of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await resume(client, sessionId))}\n`);
  }
  process.exit();
}

async function resume(client: SessionClient, sessionId: string): Promise<Resume> {
  const snapshot = async (): Promise<number> => {
    const startedMs = performance.now();
    let pageToken = "";
    do {
      pageToken = (await client.getSnapshot({ sessionId, pageToken })).nextPageToken;
    } while (pageToken !== "");
    return performance.now() - startedMs;
  };
  const watch = async (): Promise<{ readonly ms: number; readonly headSeq: number }> => {
    const requests = new FrameQueue<{ frame: { case: "create"; value: { watchId: bigint; target: object } } }>();
    requests.offer({
      frame: { case: "create", value: { watchId: 1n, target: { case: "sessionId" as const, value: sessionId } } },
    });
    const control = new AbortController();
    const startedMs = performance.now();
    for await (const { frame } of client.watch(requests as never, { signal: control.signal })) {
      const last = frame.case === "batch" ? frame.value.events.at(-1) : undefined;
      if (frame.case !== "batch" || last === undefined) continue;
      if (readEventRange(last).seq < Number(frame.value.headSeq)) continue;
      const ms = performance.now() - startedMs;
      control.abort();
      return { ms, headSeq: Number(frame.value.headSeq) };
    }
    throw new Error("the watch ended before the head");
  };
  const startedMs = performance.now();
  const writtenSnapshotMs = await snapshot();
  await untilCompacted(client, sessionId);
  const compactedAfterMs = performance.now() - startedMs;
  const snapshots: number[] = [];
  const watches: number[] = [];
  let events = 0;
  for (let round = 0; round < rounds; round++) {
    snapshots.push(await snapshot());
    const { ms, headSeq } = await watch();
    watches.push(ms);
    events = headSeq;
  }
  return { events, writtenSnapshotMs, compactedAfterMs, snapshotMs: median(snapshots), watchMs: median(watches) };
}

/** Few events then reach from far behind to the head; a log that stays as it was written is an error after a minute. */
async function untilCompacted(client: SessionClient, sessionId: string): Promise<void> {
  const pageSize = 500;
  const { session } = await client.getSession({ by: { case: "sessionId", value: sessionId } });
  if (session === undefined) throw new Error("the session is not there");
  const { logId, headSeq } = session;
  for (let tries = 0; tries < 600; tries++) {
    const cursor = { logId, afterSeq: headSeq - BigInt(10 * pageSize) };
    const { events } = await client.listEvents({ sessionId, cursor, pageSize });
    const last = events.at(-1);
    if (last !== undefined && readEventRange(last).seq > Number(headSeq) - pageSize) return;
    await new Promise((settle) => setTimeout(settle, 100));
  }
  throw new Error("compaction has not been there for a minute");
}

const [, program, url, dataDir, anotherId] = process.argv;
if (program === import.meta.filename && url !== undefined && dataDir !== undefined && anotherId !== undefined) {
  await main(url, dataDir, anotherId);
}
