// What the parts of the session store's suite share: a store in a folder of its own, and calls with their usual values.
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { SessionUpdatedSchema } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { CancelCommandSchema } from "../../../gen/atoll/session/v1/attach_pb.ts";
import type { StoredEvent } from "../../../services/kernel/event/stored-event.ts";
import type { Scope } from "../../../services/kernel/store/scope.ts";
import { isCallEvent } from "../../../services/session/rules/open-calls.ts";
import type {
  AppendOutcome,
  CancelWish,
  Claimed,
  FollowUp,
  NewMessage,
  NewSession,
  SubmitRefusal,
  Submitted,
  WorkerBatch,
} from "../../../services/session/store/changes.ts";
import type { Answered, Request } from "../../../services/session/store/request.ts";
import type { RunRow, SessionRow } from "../../../services/session/store/rows.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";

/** A driver under test. `folder` is empty at first and names the same store when it is opened again. */
export interface SessionStoreDriver {
  readonly open: (folder: string, nowMs: () => number) => Promise<SessionStore>;
}

export const scope: Scope = { tenant: "local", principal: "user:local" };
export const otherTenant: Scope = { tenant: "other", principal: "user:local" };

/** A store that every test gets anew. */
export class StoreUnderTest {
  /** The clock of the store; it stands still unless a test moves it. */
  nowMs = 1_700_000_000_000;
  private readonly driver: SessionStoreDriver;
  private folder = "";
  private opened: SessionStore | undefined;

  constructor(driver: SessionStoreDriver) {
    this.driver = driver;
    beforeEach(async () => {
      this.folder = mkdtempSync(join(tmpdir(), "atoll-store-"));
      this.opened = await this.open();
    });
    afterEach(async () => {
      await this.opened?.close();
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  get store(): SessionStore {
    if (this.opened === undefined) {
      throw new Error("the store is open only inside a test");
    }
    return this.opened;
  }

  /** Closes the store and opens it again. */
  async reopen(): Promise<void> {
    await this.store.close();
    this.opened = await this.open();
  }

  private open(): Promise<SessionStore> {
    return this.driver.open(this.folder, () => this.nowMs);
  }
}

/** An event as a caller hands it in. */
function encodeEvent(init: MessageInitShape<typeof EventSchema>): Uint8Array {
  return toBinary(EventSchema, create(EventSchema, init));
}

/** A delta that says `text`. */
export function delta(runId: string, text: string): Uint8Array {
  return encodeEvent({ runId, body: { case: "textDelta", value: { blockId: "1.1.0", offset: 0n, text } } });
}

export function runFinished(runId: string, status: RunStatus = RunStatus.COMPLETED): Uint8Array {
  return encodeEvent({ runId, body: { case: "runFinished", value: { status } } });
}

/** What readers of a session's log see of a change of the session itself. */
export function sessionUpdated(value: MessageInitShape<typeof SessionUpdatedSchema>): Uint8Array {
  return encodeEvent({ body: { case: "sessionUpdated", value } });
}

export function decodeEvents(events: readonly StoredEvent[]): Event[] {
  return events.map(({ bytes }) => fromBinary(EventSchema, bytes));
}

/** A request whose answer is the JSON of `show(outcome)`. */
export function request<Outcome>(
  show: (outcome: Outcome) => unknown,
  changes: Partial<Pick<Request<Outcome>, "method" | "requestId" | "digest">> = {},
): Request<Outcome> {
  return {
    method: "test/Call",
    requestId: randomUUID(),
    digest: "digest",
    answer: (outcome) => Buffer.from(JSON.stringify(show(outcome))),
    ...changes,
  };
}

/** What `request` encoded. */
export function readAnswer(answer: Uint8Array): unknown {
  return JSON.parse(Buffer.from(answer).toString());
}

export function newSession(changes: Partial<NewSession> = {}): NewSession {
  return {
    sessionId: randomUUID(),
    logId: `log_${randomUUID().replaceAll("-", "")}`,
    key: "",
    agentId: "agent",
    title: "",
    labels: {},
    parentSessionId: "",
    profile: new Uint8Array(),
    ...changes,
  };
}

/** Creates a session that has to be new. */
export async function makeSession(
  store: SessionStore,
  changes: Partial<NewSession> = {},
  by: Scope = scope,
): Promise<SessionRow> {
  const made = await store.createSession(
    by,
    request(({ session }) => session.sessionId),
    newSession(changes),
  );
  expect(made).toMatchObject({ kind: "done", outcome: { created: true } });
  return outcomeOf(made).session;
}

export function newMessage(sessionId: string, changes: Partial<NewMessage> = {}): NewMessage {
  const messageId = randomUUID();
  const runId = changes.runId ?? randomUUID();
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
    isResetDue: () => false,
    maxQueuedRuns: 100,
    events: ({ runId: answeredBy, entered, position, agentId }) => [
      encodeEvent({ body: { case: "messageReceived", value: { messageId, runId: answeredBy } } }),
      ...(entered === "queued"
        ? [encodeEvent({ runId, body: { case: "runQueued", value: { messageIds: [messageId], agentId, position } } })]
        : []),
    ],
    ...changes,
  };
}

export function submit(
  store: SessionStore,
  sessionId: string,
  changes: Partial<NewMessage> = {},
  by: Scope = scope,
): Promise<Answered<Submitted> | SubmitRefusal> {
  return store.submitMessage(
    by,
    request(({ seq, run }) => ({ seq, runId: run.runId })),
    newMessage(sessionId, changes),
  );
}

/** Submits a message that has to be accepted. */
export async function accept(
  store: SessionStore,
  sessionId: string,
  changes: Partial<NewMessage> = {},
  by: Scope = scope,
): Promise<Submitted> {
  return outcomeOf(await submit(store, sessionId, changes, by));
}

export const runStarted = (run: RunRow): Uint8Array[] => [
  encodeEvent({ runId: run.runId, body: { case: "runStarted", value: { epoch: BigInt(run.epoch) } } }),
];

/** Claims one run, which has to be there. */
export async function claimOne(store: SessionStore): Promise<Claimed> {
  const [claimed] = await store.claimRuns({ limit: 1, events: runStarted });
  if (claimed === undefined) {
    throw new Error("no run was waiting");
  }
  return claimed;
}

/** A session with a run that a worker has taken. */
export async function startRun(store: SessionStore): Promise<Claimed> {
  const { sessionId } = await makeSession(store);
  await accept(store, sessionId);
  return claimOne(store);
}

/** A batch of one delta by the holder of `run`. */
export function batchOf(run: RunRow, batchNo: number, changes: Partial<WorkerBatch> = {}): WorkerBatch {
  const { tenant, sessionId, runId, epoch } = run;
  const { events = [delta(runId, `batch ${batchNo}`)] } = changes;
  return {
    tenant,
    sessionId,
    runId,
    epoch,
    batchNo,
    events,
    actedCommandId: 0,
    readMessageIds: [],
    callEvents: changes.callEvents ?? events.map((bytes) => fromBinary(EventSchema, bytes)).filter(isCallEvent),
    finish: undefined,
    ...changes,
  };
}

/** A run for what an ended one left unread. */
export function followUp(runId: string = randomUUID()): FollowUp {
  return {
    runId,
    event: ({ messageIds, agentId }, position) =>
      encodeEvent({ runId, body: { case: "runQueued", value: { messageIds: [...messageIds], agentId, position } } }),
  };
}

/** A wish to cancel by `cancelledBy`. */
export function wish(cancelledBy = "user:local", reason = "enough"): CancelWish {
  const command = toBinary(CancelCommandSchema, create(CancelCommandSchema, { cancelledBy, reason }));
  return { cancelledBy, reason, command, event: (run) => runFinished(run.runId, RunStatus.CANCELLED) };
}

/** The batch that ends `run`; `before` stands in front of the terminal event. */
export function lastBatchOf(run: RunRow, batchNo: number, before: readonly Uint8Array[] = []): WorkerBatch {
  const finish = { status: RunStatus.COMPLETED, failure: new Uint8Array(), followUp: followUp() };
  return batchOf(run, batchNo, { events: [...before, runFinished(run.runId)], finish });
}

/** Appends a batch that has to be committed. */
export async function append(
  store: SessionStore,
  batch: WorkerBatch,
): Promise<Extract<AppendOutcome, { kind: "appended" }>> {
  const outcome = await store.appendBatch(batch);
  if (outcome.kind !== "appended") {
    throw new Error(`the batch was answered ${JSON.stringify(outcome)}`);
  }
  return outcome;
}

/** The whole log of a session; checks that it is dense. */
export async function readLog(store: SessionStore, sessionId: string, tenant = scope.tenant): Promise<StoredEvent[]> {
  const page = await store.readEvents({ tenant }, sessionId, { afterSeq: 0, maxEvents: 100_000, maxBytes: 1e9 });
  if (page.kind !== "page") {
    throw new Error("the session is not there");
  }
  expect(page.events.map(({ firstSeq }) => firstSeq)).toEqual(page.events.map((_event, index) => index + 1));
  expect(page.events.map(({ seq }) => seq)).toEqual(page.events.map((_event, index) => index + 1));
  expect(page.events.length).toBe(page.headSeq);
  return [...page.events];
}

/** The outcome of a call that has to be done. */
export function outcomeOf<Outcome>(answered: Answered<Outcome> | { readonly kind: string }): Outcome {
  if (answered.kind !== "done" || !("outcome" in answered)) {
    throw new Error(`the call was answered ${JSON.stringify(answered)}`);
  }
  return answered.outcome;
}
