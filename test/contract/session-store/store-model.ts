// The simplest SessionStore that could be right: plain objects, no files, no groups. test/contract compares drivers with
// it. It answers with the part of each outcome that a caller decides on.
import type { NewMessage, WorkerBatch } from "../../../services/session/store/changes.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";

interface ModelRun {
  readonly runId: string;
  readonly session: ModelSession;
  readonly collects: boolean;
  priority: number;
  messageIds: string[];
  /** Open ones; a cancel has no message. */
  commands: { readonly commandId: number; readonly messageId: string; readonly priority: number }[];
  lastCommandId: number;
  state: "queued" | "running" | "finished";
  epoch: number;
  batchNo: number;
  batchRange: readonly [number, number];
  cancelled: boolean;
}

interface ModelSession {
  readonly sessionId: string;
  headSeq: number;
  readonly runs: ModelRun[];
}

/** What the model says of an operation; compared with `toMatchObject`. */
export type Expected = object | undefined;

export class SessionStoreModel {
  readonly sessions: ModelSession[] = [];
  private readonly answers = new Map<string, string>();
  private readonly arrived: ModelRun[] = [];

  create(sessionId: string): void {
    this.sessions.push({ sessionId, headSeq: 0, runs: [] });
  }

  runs(): readonly ModelRun[] {
    return this.arrived;
  }

  submit(sessionId: string, requestId: string, digest: string, message: NewMessage): Expected {
    const answered = this.answers.get(requestId);
    if (answered !== undefined) {
      return { kind: answered === digest ? "replayed" : "request-id-reused" };
    }
    const session = this.sessions.find((found) => found.sessionId === sessionId);
    if (session === undefined) {
      return { kind: "session-not-found" };
    }
    if (message.ifHeadSeq !== undefined && message.ifHeadSeq !== session.headSeq) {
      return { kind: "head-moved", headSeq: session.headSeq };
    }
    const active = session.runs.find(({ state }) => state === "running");
    const queue = inOrder(session.runs.filter(({ state }) => state === "queued"));
    const busy = active ?? queue[0];
    if (message.entry.kind === "reject" && busy !== undefined) {
      return { kind: "session-busy", runId: busy.runId };
    }
    const { messageId, priority, runId } = message;
    const seq = session.headSeq + 1;
    const done = (answeredBy: string): Expected => {
      this.answers.set(requestId, digest);
      return { kind: "done", outcome: { seq, run: { runId: answeredBy }, appended: { headSeq: session.headSeq } } };
    };
    if (message.entry.kind === "steer" && active !== undefined && !active.cancelled) {
      session.headSeq++;
      active.messageIds.push(messageId);
      active.commands.push({ commandId: ++active.lastCommandId, messageId, priority });
      return done(active.runId);
    }
    const collecting = session.runs.findLast(({ state, collects }) => state === "queued" && collects);
    if (message.entry.kind === "collect" && collecting !== undefined) {
      session.headSeq++;
      collecting.messageIds.push(messageId);
      collecting.priority = Math.max(collecting.priority, priority);
      return done(collecting.runId);
    }
    if (queue.length >= message.maxQueuedRuns) {
      return { kind: "queue-full", limit: message.maxQueuedRuns };
    }
    this.queue(session, { runId, priority, messageIds: [messageId], collects: message.entry.kind === "collect" });
    session.headSeq += 2;
    if (message.entry.kind === "interrupt" && active !== undefined) {
      askToStop(active);
    }
    return done(runId);
  }

  private queue(session: ModelSession, made: Pick<ModelRun, "runId" | "priority" | "messageIds" | "collects">): void {
    const life = { state: "queued", epoch: 0, batchNo: 0, batchRange: [0, 0], cancelled: false } as const;
    const run: ModelRun = { ...made, ...life, session, commands: [], lastCommandId: 0 };
    session.runs.push(run);
    this.arrived.push(run);
  }

  /** What it was steered with and never read gets a run of its own. */
  private end(run: ModelRun, followUpId: string): void {
    run.state = "finished";
    const unread = run.commands.filter(({ messageId }) => messageId !== "");
    run.commands = [];
    if (unread.length === 0) {
      return;
    }
    const messageIds = unread.map(({ messageId }) => messageId);
    run.messageIds = run.messageIds.filter((id) => !messageIds.includes(id));
    run.session.headSeq++;
    const priority = Math.max(...unread.map((command) => command.priority));
    this.queue(run.session, { runId: followUpId, priority, messageIds, collects: false });
  }

  /** The ids of the runs that a claim takes. */
  claim(limit: number): { runId: string; epoch: number }[] {
    const taken: ModelRun[] = [];
    for (const run of inOrder(this.arrived.filter(({ state }) => state === "queued"))) {
      if (taken.length < limit && !run.session.runs.some(({ state }) => state === "running")) {
        take(run);
        taken.push(run);
      }
    }
    return taken.map(({ runId, epoch }) => ({ runId, epoch }));
  }

  takeOver(run: ModelRun, epoch: number): Expected {
    if (run.state !== "running" || run.epoch !== epoch) {
      return undefined;
    }
    take(run);
    return { run: { epoch: run.epoch, batchNo: 0 }, appended: { headSeq: run.session.headSeq } };
  }

  append(run: ModelRun, batch: WorkerBatch): Expected {
    if (batch.epoch !== run.epoch || run.epoch === 0) {
      return { kind: "fenced", epoch: run.epoch };
    }
    if (batch.batchNo > 0 && batch.batchNo === run.batchNo) {
      return { kind: "replayed", firstSeq: run.batchRange[0], lastSeq: run.batchRange[1] };
    }
    if (run.state === "finished") {
      return { kind: "finished" };
    }
    if (batch.batchNo !== run.batchNo + 1) {
      return { kind: "out-of-order", expectedBatchNo: run.batchNo + 1 };
    }
    const { session } = run;
    run.batchRange = [session.headSeq + 1, session.headSeq + batch.events.length];
    session.headSeq += batch.events.length;
    run.batchNo = batch.batchNo;
    run.commands = run.commands.filter(
      ({ commandId, messageId }) => commandId > batch.actedCommandId && !batch.readMessageIds.includes(messageId),
    );
    if (batch.finish !== undefined) {
      this.end(run, batch.finish.followUp.runId);
    }
    return { kind: "appended", firstSeq: run.batchRange[0], lastSeq: run.batchRange[1] };
  }

  finish(run: ModelRun, epoch: number, followUpId: string): Expected {
    if (run.state === "finished" || run.epoch !== epoch) {
      return undefined;
    }
    run.epoch++;
    run.batchNo = 0;
    run.session.headSeq++;
    this.end(run, followUpId);
    return { run: { state: "finished", epoch: run.epoch }, appended: { headSeq: run.session.headSeq } };
  }

  cancel(run: ModelRun): Expected {
    switch (run.state) {
      case "queued":
        run.state = "finished";
        run.cancelled = true;
        run.session.headSeq++;
        return { kind: "done", outcome: { kind: "finished-now", appended: { headSeq: run.session.headSeq } } };
      case "running":
        askToStop(run);
        return { kind: "done", outcome: { kind: "requested" } };
      case "finished":
        return { kind: "done", outcome: { kind: "already-finished" } };
    }
  }

  /** What the store says of a session and its runs, whole. */
  async describe(store: SessionStore, tenant: string): Promise<[stored: object[], expected: object[]]> {
    const scope = { tenant, principal: "" };
    const stored: object[] = [];
    const expected: object[] = [];
    for (const session of this.sessions) {
      const row = await store.getSession(scope, session);
      stored.push({ headSeq: row?.headSeq, activeRunId: row?.activeRunId, queuedRuns: row?.queuedRuns });
      const activeRunId = session.runs.find(({ state }) => state === "running")?.runId ?? "";
      const queuedRuns = session.runs.filter(({ state }) => state === "queued").length;
      expected.push({ headSeq: session.headSeq, activeRunId, queuedRuns });
    }
    for (const { runId, state, epoch, batchNo, cancelled, priority, messageIds, commands } of this.arrived) {
      const row = await store.getRun(scope, runId);
      const open = (await store.listCommands({ tenant, runId })).map(({ commandId }) => commandId);
      stored.push({
        ...{ state: row?.state, epoch: row?.epoch, batchNo: row?.batchNo, cancelled: row?.cancelledBy !== "" },
        ...{ priority: row?.priority, messageIds: row?.messageIds, open },
      });
      const commandIds = commands.map(({ commandId }) => commandId);
      expected.push({ state, epoch, batchNo, cancelled, priority, messageIds, open: commandIds });
    }
    return [stored, expected];
  }
}

/** Urgent first, then in order of arrival; `runs` are in that order already and sorting is stable. */
function inOrder(runs: readonly ModelRun[]): ModelRun[] {
  return runs.toSorted((one, other) => other.priority - one.priority);
}

function askToStop(run: ModelRun): void {
  if (!run.cancelled) {
    run.commands.push({ commandId: ++run.lastCommandId, messageId: "", priority: 0 });
  }
  run.cancelled = true;
}

function take(run: ModelRun): void {
  run.state = "running";
  run.epoch++;
  run.batchNo = 0;
  run.batchRange = [0, 0];
  run.session.headSeq++;
}
