// A process that writes to a session store until it is killed. Started by test/contract/kill-session-store.test.ts and by
// test/faults with the data folder; prints one line for each acknowledged change: `message <runId> <seq>` or
// `batch <runId> <lastSeq>`. It ends with 3 when the disk did not confirm a write.
import { randomUUID } from "node:crypto";
import { writeSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import { EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import { openSessionStore } from "../../services/session/store/open-session-store.ts";
import type { SessionStore } from "../../services/session/store/session-store.ts";

const parallelSessions = 8;
const dataDir = process.argv[2] ?? "";
const scope = { tenant: "local", principal: "user:local" };
const stdout = 1;
const endedRun = (runId: string) =>
  toBinary(EventSchema, create(EventSchema, { runId, body: { case: "runFinished", value: { status: 1 } } }));
/** An event of this test needs no more than a body: field 32, three bytes. */
const event = Uint8Array.of(0x82, 0x02, 0x03, 0x0a, 0x01, 0x61);

function acknowledge(line: string): void {
  // Written before anything else happens, so that a kill can't take back what was acknowledged.
  writeSync(stdout, `${line}\n`);
}

function onceRequest() {
  return { method: "test/Write", requestId: randomUUID(), digest: "", answer: () => new Uint8Array() };
}

async function writeTurns(store: SessionStore, sessionId: string): Promise<never> {
  for (;;) {
    const runId = randomUUID();
    const submitted = await store.submitMessage(scope, onceRequest(), {
      to: sessionId,
      messageId: randomUUID(),
      runId,
      agentId: "",
      priority: 2,
      options: new Uint8Array(),
      traceId: "",
      ifHeadSeq: undefined,
      entry: { kind: "reject" },
      title: "",
      maxQueuedRuns: 1,
      isResetDue: () => false,
      events: () => [event, event],
    });
    if (submitted.kind !== "done") {
      throw new Error(`the message was answered ${submitted.kind}`);
    }
    acknowledge(`message ${runId} ${submitted.outcome.seq}`);
    await workOnRuns(store);
  }
}

async function workOnRuns(store: SessionStore): Promise<void> {
  const claimed = await store.claimRuns({ limit: parallelSessions, events: () => [event] });
  for (const { run } of claimed) {
    const { tenant, sessionId, runId, epoch } = run;
    for (let batchNo = 1; batchNo <= 3; batchNo++) {
      const finish =
        batchNo === 3
          ? { status: 1, failure: new Uint8Array(), followUp: { runId: randomUUID(), event: () => event } }
          : undefined;
      const batch = {
        tenant,
        sessionId,
        runId,
        epoch,
        batchNo,
        events: [event, event, finish === undefined ? event : endedRun(runId)],
        actedCommandId: 0,
        readMessageIds: [],
        callEvents: [],
        finish,
      };
      const outcome = await store.appendBatch(batch);
      if (outcome.kind !== "appended") {
        throw new Error(`the batch was answered ${outcome.kind}`);
      }
      acknowledge(`batch ${runId} ${outcome.lastSeq}`);
    }
  }
}

const store = await openSessionStore(dataDir, Date.now, { onBroken: () => process.exit(3) });
const sessions = Array.from({ length: parallelSessions }, async () => {
  const sessionId = randomUUID();
  await store.createSession(scope, onceRequest(), {
    sessionId,
    logId: randomUUID(),
    key: "",
    agentId: "agent",
    title: "",
    labels: {},
    parentSessionId: "",
    profile: new Uint8Array(),
  });
  // A run may be claimed by another session's loop; until it has ended, the session is busy and waits its turn.
  for (;;) {
    await writeTurns(store, sessionId).catch((error: unknown) => {
      if (!(error instanceof Error && error.message.endsWith("session-busy"))) {
        throw error;
      }
    });
    await new Promise((resolve) => setImmediate(resolve));
  }
});
await Promise.all(sessions);
