/** What the log bench writes: messages and deltas as a real turn has them. */
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { encodeEvent } from "../../../services/kernel/event/encode-event.ts";
import { newId } from "../../../services/kernel/id.ts";
import type { Scope } from "../../../services/kernel/store/scope.ts";
import type { NewMessage, WorkerBatch } from "../../../services/session/store/changes.ts";
import type { Request } from "../../../services/session/store/request.ts";
import type { RunRow } from "../../../services/session/store/rows.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";

/** Stored events of this text are about as long as the 106 bytes of datapath.md. */
const words = "the boat is called Nutshell and lies in the old harbour ";
export const scope: Scope = { tenant: "local", principal: "user:bench" };
/** Events of one delta batch: a worker's window under load. */
export const batchEvents = 16;

/** The deltas of one block, each continuing the one before. */
export class DeltaWriter {
  readonly #runId: string;
  #offset = 0;

  constructor(runId: string) {
    this.#runId = runId;
  }

  batch(events = batchEvents): Uint8Array[] {
    return Array.from({ length: events }, () => {
      const value = { blockId: "1.1.0", offset: BigInt(this.#offset), text: words };
      this.#offset += words.length;
      return encodeEvent({ runId: this.#runId, step: 1, attempt: 1, body: { case: "textDelta", value } });
    });
  }
}

export function onceRequest<Outcome>(): Request<Outcome> {
  return { method: "bench/Call", requestId: newId("req"), digest: "bench", answer: () => new Uint8Array(96) };
}

export async function makeSessions(store: SessionStore, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => newId("ses"));
  await Promise.all(
    ids.map((sessionId) =>
      store.createSession(scope, onceRequest(), {
        sessionId,
        logId: newId("log"),
        key: "",
        agentId: "main",
        title: "",
        labels: {},
        parentSessionId: "",
        profile: new Uint8Array(),
      }),
    ),
  );
  return ids;
}

export function newMessage(sessionId: string): NewMessage {
  const [messageId, runId] = [newId("msg"), newId("run")];
  return {
    to: sessionId,
    messageId,
    runId,
    agentId: "",
    priority: 2,
    options: new Uint8Array(),
    traceId: "",
    ifHeadSeq: undefined,
    entry: { kind: "followup" },
    title: "",
    maxQueuedRuns: 1_000_000,
    isResetDue: () => false,
    events: ({ position, agentId }) => [
      encodeEvent({ body: { case: "messageReceived", value: { messageId, runId, priority: 2, queueMode: 1 } } }),
      encodeEvent({ runId, body: { case: "runQueued", value: { messageIds: [messageId], agentId, position } } }),
    ],
  };
}

/** Submits a message to each session and takes its run. */
export async function startRuns(store: SessionStore, sessionIds: readonly string[]): Promise<RunRow[]> {
  await Promise.all(sessionIds.map((id) => store.submitMessage(scope, onceRequest(), newMessage(id))));
  const runs: RunRow[] = [];
  for (;;) {
    const claimed = await store.claimRuns({
      limit: 512,
      events: ({ runId, epoch }) => [
        encodeEvent({ runId, body: { case: "runStarted", value: { epoch: BigInt(epoch), agentId: "main" } } }),
      ],
    });
    if (claimed.length === 0) return runs;
    runs.push(...claimed.map(({ run }) => run));
  }
}

export function batchOf(run: RunRow, batchNo: number, events: readonly Uint8Array[]): WorkerBatch {
  const { tenant, sessionId, runId, epoch } = run;
  const nothing = { actedCommandId: 0, readMessageIds: [], callEvents: [], finish: undefined };
  return { tenant, sessionId, runId, epoch, batchNo, events, ...nothing };
}

export function runFinished(runId: string): Uint8Array {
  return encodeEvent({ runId, body: { case: "runFinished", value: { status: RunStatus.COMPLETED } } });
}
