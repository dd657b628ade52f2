/** The session service in a process of its own, over HTTP/2: submits, and deltas over Attach to watchers. */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { Scope as AuthScope } from "../../gen/atoll/auth/v1/options_pb.ts";
import type { RawAttachRequest } from "../../gen/atoll/internal/v1/raw_events_pb.ts";
import { SessionService, type SubmitMessageRequestSchema } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { openMeshSecrets } from "../../services/kernel/auth/mesh-secrets.ts";
import { localTenant, type Principal } from "../../services/kernel/auth/principal.ts";
import { createSignedTokens, type SignedTokens } from "../../services/kernel/auth/signed-tokens.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { readEventRange } from "../../services/kernel/event/wire/read-event-range.ts";
import { principalKey } from "../../services/kernel/rpc/call-context.ts";
import { connectPeer } from "../../services/kernel/rpc/hops/directory.ts";
import { createHopInterceptor } from "../../services/kernel/rpc/hops/hop-interceptor.ts";
import { RawSessionService } from "../../services/kernel/rpc/hops/raw-session-service.ts";
import { FrameQueue } from "../../services/kernel/stream/frame-queue.ts";
import { startService } from "../support/mesh-process.ts";
import { endWithBench } from "./end-in-time.ts";
import { DeltaWriter, runFinished } from "./log-load.ts";
import { pinProcess } from "./pin-cores.ts";
import { readCpuMs } from "./process-usage.ts";
import { SliceRates } from "./slice-rates.ts";
import { openUnaryLoad } from "./unary-load.ts";

const inFlight = 64;
const connections = 4;
/** Until V8 has compiled what is hot. */
const warmUpMs = 5_000;
/** Of a new session with one run: message, title, queued, started. */
const eventsBeforeDeltas = 4;
/** Batches of a run that wait for their answer, as a real worker bounds them. */
const batchesInFlight = 128;

const peer: Principal = {
  tenant: localTenant,
  name: "worker:bench",
  scopes: new Set([AuthScope.WORKER, AuthScope.SESSIONS_READ, AuthScope.SESSIONS_WRITE]),
  origin: undefined,
  run: undefined,
};

export type SessionClient = Client<typeof RawSessionService>;

export interface RemoteSession {
  readonly client: SessionClient;
  /** A client with a connection of its own. */
  readonly open: () => SessionClient;
  readonly url: string;
  /** Where it keeps its data, and the keys that its peers need. */
  readonly dataDir: string;
  /** The header that says who calls. It is good for half a minute at least. */
  readonly authorize: () => Promise<string>;
  readonly pid: number;
  readonly cpuMs: () => number;
  readonly stop: () => Promise<void>;
}

export async function startRemoteSession(): Promise<RemoteSession> {
  const folder = mkdtempSync(join(tmpdir(), "atoll-bench-"));
  const service = await startService("session", ["serve", "--services=session", "--listen", "127.0.0.1:0"], folder, {});
  endWithBench(service.child);
  pinProcess(service.pid, "mesh");
  const dataDir = join(folder, ".atoll");
  const { tokens, open } = peerOf(service.url, dataDir);
  return {
    client: open(),
    open,
    url: service.url,
    dataDir,
    authorize: async () => `Bearer ${await tokens.sign("hop", peer)}`,
    pid: service.pid,
    cpuMs: () => readCpuMs(service.pid),
    async stop() {
      await service.end("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Another process of the mesh, as it calls the session service: a worker's stream is opened to nobody else. */
export function peerOf(
  url: string,
  dataDir: string,
): { readonly tokens: SignedTokens; readonly open: () => SessionClient } {
  const tokens = createSignedTokens(openMeshSecrets(dataDir).signingKey, systemClock);
  const hop = createHopInterceptor("session", tokens, systemClock);
  const asPeer: Interceptor = (next) => (request) => {
    request.contextValues.set(principalKey, peer);
    return hop(next)(request);
  };
  return { tokens, open: () => createClient(RawSessionService, connectPeer({ kind: "remote", url }, asPeer, {})) };
}

async function createSessions({ client }: RemoteSession, count: number): Promise<string[]> {
  const ids: string[] = [];
  const make = async (): Promise<void> => {
    const { session } = await client.createSession({ requestId: randomUUID() });
    ids.push(session?.sessionId ?? "");
  };
  while (ids.length < count) await Promise.all(Array.from({ length: Math.min(inFlight, count - ids.length) }, make));
  return ids;
}

function newMessage(sessionId: string): MessageInitShape<typeof SubmitMessageRequestSchema> {
  return {
    requestId: randomUUID(),
    sessionId,
    message: { content: [{ block: { case: "text", value: { text: "Which boats are in the harbour?" } } }] },
  };
}

/**
 * Submits in a second, 64 in flight, and the processor time of one.
 *
 * On four connections, as four gateways would have: with one, client and service take turns, each waiting while the
 * other works through all 64.
 */
export async function measureRemoteSubmits(
  remote: RemoteSession,
  seconds: number,
): Promise<{ readonly perSecond: number; readonly cpuMs: number }> {
  // A session's queue is bounded: many sessions, so that no message is refused.
  const ids = await createSessions(remote, 400);
  let count = 0;
  const run = async (ms: number): Promise<{ readonly done: number; readonly perSecond: number }> => {
    const authorization = await remote.authorize();
    const loads = Array.from({ length: connections }, () =>
      openUnaryLoad(remote.url, SessionService.method.submitMessage, authorization),
    );
    const endMs = performance.now() + ms;
    const rates = new SliceRates();
    let done = 0;
    const lane = async ({ call }: (typeof loads)[number]): Promise<void> => {
      while (performance.now() < endMs) {
        const { runId } = await call(newMessage(ids[count++ % ids.length] ?? ""));
        if (runId === "") throw new Error("a message was taken without a run");
        done += 1;
        rates.note(1);
      }
    };
    await Promise.all(loads.flatMap((load) => Array.from({ length: inFlight / connections }, () => lane(load))));
    for (const { close } of loads) close();
    return { done, perSecond: rates.perSecond() };
  };
  await run(warmUpMs);
  const startedCpuMs = remote.cpuMs();
  const { done, perSecond } = await run(seconds * 1_000);
  return { perSecond, cpuMs: (remote.cpuMs() - startedCpuMs) / done };
}

export interface Flow {
  readonly sessionIds: readonly string[];
  readonly sessions: number;
  readonly events: number;
  readonly perSecond: number;
  readonly cpuUsPerEvent: number;
}

/**
 * Deltas from a worker's Attach stream to the events that a Watch stream delivered: one run and one watcher a session,
 * all runs on one Attach stream, all watchers on one Watch stream, each on a connection of its own.
 */
export async function measureFlow(remote: RemoteSession, sessions: number, eventsEach: number): Promise<Flow> {
  const ids = await createSessions(remote, sessions);
  const control = new AbortController();
  const watched = watchAll(remote, ids, eventsEach, control.signal);
  await watched.opened;
  const worker = attach(remote, sessions, control.signal);
  for (const id of ids) await remote.client.submitMessage(newMessage(id));
  const runs = await worker.offered;
  const [startedMs, startedCpuMs] = [performance.now(), remote.cpuMs()];
  await Promise.all(runs.map((run) => worker.write(run, eventsEach)));
  await watched.done;
  const ms = performance.now() - startedMs;
  const cpuMs = remote.cpuMs() - startedCpuMs;
  await Promise.all(runs.map((run) => worker.end(run)));
  control.abort();
  const events = sessions * eventsEach;
  return {
    sessionIds: ids,
    sessions,
    events,
    perSecond: (events * 1_000) / ms,
    cpuUsPerEvent: (cpuMs * 1_000) / events,
  };
}

function watchAll({ open }: RemoteSession, ids: readonly string[], eventsEach: number, signal: AbortSignal) {
  const opened = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  const requests = new FrameQueue<{ frame: { case: "create"; value: { watchId: bigint; target: object } } }>();
  for (const [index, id] of ids.entries()) {
    const target = { case: "sessionId" as const, value: id };
    requests.offer({ frame: { case: "create", value: { watchId: BigInt(index + 1), target } } });
  }
  const listen = async (): Promise<void> => {
    let created = 0;
    let finished = 0;
    const seen = new Map<bigint, number>();
    for await (const { frame } of open().watch(requests as never, { signal })) {
      if (frame.case === "created" && ++created === ids.length) opened.resolve();
      if (frame.case !== "batch") continue;
      const { watchId, events } = frame.value;
      const last = events.at(-1);
      if (last === undefined) continue;
      const before = seen.get(watchId) ?? 0;
      const seq = readEventRange(last).seq;
      seen.set(watchId, seq);
      const whole = eventsBeforeDeltas + eventsEach;
      if (before < whole && seq >= whole && ++finished === ids.length) done.resolve();
    }
  };
  listen().catch((error: unknown) => {
    if (!signal.aborted) done.reject(error);
  });
  return { opened: opened.promise, done: done.promise };
}

interface TakenRun {
  readonly sessionId: string;
  readonly runId: string;
  readonly epoch: bigint;
  batchNo: bigint;
  unanswered: number;
  answered: PromiseWithResolvers<void>;
}

function attach({ open }: RemoteSession, count: number, signal: AbortSignal) {
  const said = new FrameQueue<{ frame: RawAttachRequest["frame"] }>();
  const runs = new Map<string, TakenRun>();
  const offered = Promise.withResolvers<TakenRun[]>();
  said.offer({
    frame: {
      case: "hello",
      value: {
        $typeName: "atoll.session.v1.WorkerHello",
        workerId: `bench-${randomUUID()}`,
        agentIds: [],
        tenant: "",
        pool: "",
        labels: {},
        credits: count,
        held: [],
        version: "bench",
      },
    },
  });
  const renewal = setInterval(() => {
    const held = [...runs.values()].map(({ sessionId, runId, epoch }) => ({
      $typeName: "atoll.session.v1.HeldRun" as const,
      sessionId,
      runId,
      epoch,
      ackedBatchNo: 0n,
    }));
    said.offer({ frame: { case: "renew", value: { $typeName: "atoll.session.v1.RenewLeases", held } } });
  }, 1_000);
  signal.addEventListener("abort", () => clearInterval(renewal), { once: true });
  const listen = async (): Promise<void> => {
    for await (const { frame } of open().attach(said, { signal })) {
      if (frame.case === "offer" && frame.value.run !== undefined) {
        const { sessionId, runId, epoch } = frame.value.run;
        const answered = Promise.withResolvers<void>();
        runs.set(runId, { sessionId, runId, epoch, batchNo: 0n, unanswered: 0, answered });
        if (runs.size === count) offered.resolve([...runs.values()]);
      } else if (frame.case === "accepted") {
        const run = runs.get(frame.value.runId);
        if (run === undefined) continue;
        run.unanswered -= 1;
        run.answered.resolve();
      } else if (frame.case === "refused") {
        throw new Error(`a batch was refused: ${frame.value.reason} ${frame.value.message}`);
      }
    }
  };
  listen().catch((error: unknown) => {
    if (!signal.aborted) offered.reject(error);
    for (const run of runs.values()) run.answered.reject(error);
  });
  const answers = async (run: TakenRun, most: number): Promise<void> => {
    while (run.unanswered > most) {
      run.answered = Promise.withResolvers();
      await run.answered.promise;
    }
  };
  const say = async (run: TakenRun, events: Uint8Array[]): Promise<void> => {
    const { sessionId, runId, epoch } = run;
    run.batchNo += 1n;
    run.unanswered += 1;
    const batch = { events, sessionId, runId, epoch, batchNo: run.batchNo, actedCommandId: 0n };
    said.offer({ frame: { case: "batch", value: { $typeName: "atoll.internal.v1.RawAppendBatch", ...batch } } });
    await answers(run, batchesInFlight - 1);
  };
  return {
    offered: offered.promise,
    async write(run: TakenRun, events: number) {
      const deltas = new DeltaWriter(run.runId);
      for (let written = 0; written < events; ) {
        const batch = deltas.batch();
        written += batch.length;
        await say(run, batch);
      }
    },
    /** Resolves when the run has ended: another worker would be offered it otherwise. */
    async end(run: TakenRun) {
      await say(run, [runFinished(run.runId)]);
      await answers(run, 0);
    },
  };
}
