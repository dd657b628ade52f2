import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  delta,
  lastBatchOf,
  makeSession,
} from "../../../test/contract/session-store/store-fixture.ts";
import { verifies } from "../../../test/requirements.ts";
import { withStore } from "../../../test/support/closed-store.ts";
import { as, person, type RunningSession, startSessionService } from "../../../test/support/session-service.ts";
import { ErrorReason, failureFacts } from "../../kernel/errors.ts";
import { createLog } from "../../kernel/log.ts";
import { manualClock } from "../../kernel/manual-clock.fixture.ts";
import { LogDamaged } from "../../kernel/store/store-errors.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { SessionStore } from "../store/session-store.ts";
import { trimLogs } from "./trim-logs.ts";

const sessionId = "ses_1";
const dayMs = 86_400_000;
const keepAll = { retentionDays: 0, maxLogEvents: 0, maxLogBytes: 0 };

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "atoll-trim-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Four events each. */
async function writeRuns(store: SessionStore, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await accept(store, sessionId);
    const { run } = await claimOne(store);
    await append(store, lastBatchOf(run, 1));
  }
}

/** Rounds of the job until it has seen every session; gives the lines of its log. */
async function work(store: SessionStore, nowMs: number, settings: Partial<typeof keepAll>): Promise<object[]> {
  const lines: object[] = [];
  const silent = createLog({ level: "silent", format: "json" });
  const note = (fields: object): void => void lines.push(fields);
  const log = { ...silent, info: note, error: note };
  const clock = { ...manualClock(), nowMs: () => nowMs };
  const deps = { store, clock, log, settings: { ...keepAll, ...settings } } as unknown as SessionDeps;
  const job = trimLogs(deps);
  while ((await job.round()) === "more");
  return lines;
}

describe("the job that trims logs", () => {
  it("removes what the settings let go, by number and by age, and says what", async () => {
    const nowMs = 100 * dayMs;
    let storeMs = nowMs - 3 * dayMs;
    await withStore(
      newFolder(),
      async (store) => {
        await makeSession(store, { sessionId });
        await writeRuns(store, 3);
        expect(await work(store, nowMs, {})).toEqual([]);
        expect(await work(store, nowMs, { retentionDays: 3 })).toEqual([]);
        const [line, ...others] = await work(store, nowMs, { maxLogEvents: 8 });
        expect(others).toEqual([]);
        expect(line).toMatchObject({ tenant: "local", sessionId, oldestSeq: 5, events: 4 });
        storeMs = nowMs;
        await writeRuns(store, 1);
        expect(await work(store, nowMs, { retentionDays: 2 })).toMatchObject([{ oldestSeq: 13, events: 8 }]);
        expect(await work(store, nowMs, { maxLogBytes: 1 })).toMatchObject([{ oldestSeq: 17, events: 4 }]);
      },
      () => storeMs,
    );
  });
});

describe("the job that trims logs, where one is damaged", () => {
  it(`says which, and goes on ${verifies("L9")}`, async () => {
    const store = {
      trimLogs: async ({ cursor }: { readonly cursor: string }) => ({
        trimmed: [],
        damaged: cursor === "" ? [new LogDamaged(sessionId, 5, "a checksum")] : [],
        cursor: cursor === "" ? "1" : "",
      }),
    } as unknown as SessionStore;
    const lines = await work(store, dayMs, { retentionDays: 1 });
    expect(lines).toEqual([{ sessionId, seq: 5, damage: expect.stringContaining("a checksum") }]);
  });
});

describe("a log that was trimmed", () => {
  async function startTrimmed(): Promise<RunningSession> {
    const folder = newFolder();
    await withStore(folder, async (store) => {
      await makeSession(store, { sessionId });
      await writeRuns(store, 3);
      expect(await work(store, Date.now(), { maxLogEvents: 4 })).toHaveLength(1);
    });
    return startSessionService({ folder });
  }

  async function* watchAll() {
    const target = { case: "sessionId", value: sessionId } as const;
    yield { frame: { case: "create" as const, value: { watchId: 1n, target } } };
    // The client stays on the line.
    await new Promise(() => {});
  }

  const decode = (events: readonly Uint8Array[]) => events.map((bytes) => fromBinary(EventSchema, bytes));
  const rangesOf = (events: readonly Uint8Array[]) =>
    decode(events).map(({ firstSeq, seq, body }) => [Number(firstSeq), Number(seq), body.case]);
  const expected = [
    [1, 8, "historyTrimmed"],
    [9, 9, "messageReceived"],
    [10, 10, "runQueued"],
    [11, 11, "runStarted"],
    [12, 12, "runFinished"],
  ];

  it(`reads from the beginning without a gap, the same to everybody ${verifies("S1", "S5", "S6")}`, async () => {
    const { client } = await startTrimmed();
    const listed = await client.listEvents({ sessionId }, as(person));
    expect(listed).toMatchObject({ oldestSeq: 9n, headSeq: 12n });
    expect(rangesOf(listed.events)).toEqual(expected);
    const pages: Uint8Array[] = [];
    for (let pageToken = "", more = true; more; more = pageToken !== "") {
      const page = await client.listEvents({ sessionId, pageSize: 1, pageToken }, as(person));
      pages.push(...page.events);
      pageToken = page.nextPageToken;
    }
    expect(pages).toEqual(listed.events);
    expect((await client.getSnapshot({ sessionId }, as(person))).events).toEqual(listed.events);
    for await (const { frame } of client.watch(watchAll(), as(person))) {
      if (frame.case !== "batch") continue;
      expect(frame.value.events).toEqual(listed.events);
      break;
    }
  });

  it(`refuses a cursor in what is gone, with oldest and head ${verifies("S5")}`, async () => {
    const { client } = await startTrimmed();
    const list = (afterSeq: bigint) => client.listEvents({ sessionId, cursor: { afterSeq } }, as(person));
    for (const afterSeq of [1n, 7n]) {
      const error: unknown = await list(afterSeq).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ConnectError);
      expect((error as ConnectError).code).toBe(Code.OutOfRange);
      expect(failureFacts(error as ConnectError)).toMatchObject({
        reason: ErrorReason.HISTORY_TRIMMED,
        metadata: { oldest_seq: "9", head_seq: "12" },
      });
    }
    expect(rangesOf((await list(8n)).events)).toEqual(expected.slice(1));
    expect((await list(12n)).events).toEqual([]);
  });

  it(`ends a watcher that it overtook, and never leaves a gap ${verifies("S1", "S5")}`, async () => {
    const { client, store } = await startSessionService();
    await makeSession(store, { sessionId });
    await accept(store, sessionId);
    const { run } = await claimOne(store);
    // Each fills a frame; they are more than the 64 frames that may wait for the watcher's client.
    const padding = "x".repeat(200_000);
    for (let batchNo = 1; batchNo <= 12; batchNo++) {
      const events = Array.from({ length: 10 }, () => delta(run.runId, padding));
      await append(store, batchOf(run, batchNo, { events }));
    }
    const { lastSeq } = await append(store, lastBatchOf(run, 13));
    let seq = 0;
    let isTrimmed = false;
    for await (const { frame } of client.watch(watchAll(), as(person))) {
      if (frame.case === "cancelled") {
        expect(frame.value).toMatchObject({ code: Code.OutOfRange, reason: ErrorReason.HISTORY_TRIMMED });
        break;
      }
      if (frame.case !== "batch") continue;
      for (const { firstSeq, seq: last } of decode(frame.value.events)) {
        expect(firstSeq).toBe(BigInt(seq + 1));
        seq = Number(last);
      }
      if (!isTrimmed) await work(store, Date.now(), { maxLogEvents: 1 });
      isTrimmed = true;
      if (seq === lastSeq) expect.fail("the watcher was not overtaken");
    }
    expect(seq).toBeGreaterThan(0);
  });
});
