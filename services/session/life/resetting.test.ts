import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ResetMode, type ResetPolicySchema } from "../../../gen/atoll/session/v1/session_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { as, person, sendWords, startSessionService } from "../../../test/support/session-service.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { newId } from "../../kernel/id.ts";
import { attachByHand } from "../workers/hand-worker.fixture.ts";
import { readLog, refusal, reset, rowOf, told, updatesOf } from "./session-life.fixture.ts";

describe("resetting a session", () => {
  it("sets the floor to what stood in the log, keeps the log, and tells its readers", async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "hello");
    const before = await readLog(session, sessionId);
    const { session: row } = await reset(session, sessionId, BigInt(before.length));
    expect(row).toMatchObject({ contextFloorSeq: BigInt(before.length), headSeq: BigInt(before.length + 1) });
    expect((await readLog(session, sessionId)).slice(0, -1)).toEqual(before);
    expect((await updatesOf(session, sessionId)).at(-1)).toEqual(
      told({ fields: ["context_floor_seq"], contextFloorSeq: BigInt(before.length), changedBy: person.name }),
    );
    expect(await refusal(reset(session, sessionId, 1n))).toMatchObject({ reason: ErrorReason.HEAD_MOVED });
  });

  it(`happens once for the same request ${verifies("R1")}`, async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "hello");
    const request = { requestId: newId("req"), sessionId };
    const answer = await session.client.resetSession(request, as(person));
    await sendWords(session, "more", { sessionId });
    expect(await session.client.resetSession(request, as(person))).toEqual(answer);
    expect((await rowOf(session, sessionId)).contextFloorSeq).toBe(answer.session?.contextFloorSeq);
  });

  it("is offered to the worker of the next run, and of the run that waits", async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "hello");
    const { session: row } = await reset(session, sessionId);
    const worker = await attachByHand(session.inMemory, "w1");
    expect((await worker.hear("offer")).session?.contextFloorSeq).toBe(row?.contextFloorSeq);
  });
});

describe("a policy of resets", () => {
  const dayMs = 86_400_000;
  const noon = Date.UTC(2026, 5, 1, 12);

  /** A session with the policy and one message; `at` sends another one at a time and gives the floor after it. */
  async function under(
    resetPolicy: MessageInitShape<typeof ResetPolicySchema>,
    settings: NonNullable<Parameters<typeof startSessionService>[0]>["settings"] = {},
  ) {
    let nowMs = noon;
    const session = await startSessionService({ nowMs: () => nowMs, settings });
    const { session: made } = await session.client.createSession({ requestId: newId("req"), resetPolicy }, as(person));
    const sessionId = made?.sessionId ?? "";
    await sendWords(session, "first", { sessionId });
    const at = async (atMs: number): Promise<bigint> => {
      nowMs = atMs;
      await sendWords(session, "next", { sessionId });
      return (await rowOf(session, sessionId)).contextFloorSeq;
    };
    const moveTo = (atMs: number): void => {
      nowMs = atMs;
    };
    return { session, sessionId, at, moveTo };
  }

  it("that says never, never begins anew", async () => {
    const { at } = await under({ mode: ResetMode.NEVER });
    expect(await at(noon + 400 * dayMs)).toBe(0n);
  });

  it("that says daily begins anew with the first message after the hour, in the mesh's zone", async () => {
    // 04:00 in Vienna is 02:00 UTC in summer.
    const { session, sessionId, at } = await under({ mode: ResetMode.DAILY, hour: 4 }, { timeZone: "Europe/Vienna" });
    const hour = noon + 14 * 3_600_000;
    expect(await at(hour - 1)).toBe(0n);
    const before = (await rowOf(session, sessionId)).headSeq;
    expect(await at(hour)).toBe(before);
    expect((await updatesOf(session, sessionId)).at(-1)).toEqual(
      told({ fields: ["context_floor_seq"], contextFloorSeq: before, changedBy: "mesh" }),
    );
    expect(await at(hour + dayMs - 1)).toBe(before);
    expect(await at(hour + dayMs)).toBeGreaterThan(before);
  });

  it("that says idle begins anew after so long without a message", async () => {
    const { session, sessionId, at } = await under({ mode: ResetMode.IDLE, idle: durationFromMs(60_000) });
    expect(await at(noon + 59_999)).toBe(0n);
    const before = (await rowOf(session, sessionId)).headSeq;
    expect(await at(noon + 119_999)).toBe(before);
  });

  it("is the mesh's own doing, told apart from what the message of a person changes beside it", async () => {
    const { session, sessionId, at } = await under({ mode: ResetMode.IDLE, idle: durationFromMs(60_000) });
    await session.client.updateSession(
      { requestId: newId("req"), sessionId, session: {}, updateMask: { paths: ["title"] } },
      as(person),
    );
    const before = (await rowOf(session, sessionId)).headSeq;
    await at(noon + dayMs);
    expect((await updatesOf(session, sessionId)).slice(-2)).toEqual([
      told({ fields: ["title"], title: "next", changedBy: person.name }),
      told({ fields: ["context_floor_seq"], contextFloorSeq: before, changedBy: "mesh" }),
    ]);
  });

  it("that wakes an idle session says who woke it and that the mesh began anew", async () => {
    const policy = { mode: ResetMode.IDLE, idle: durationFromMs(60_000) };
    const { session, sessionId, at, moveTo } = await under(policy, { idleTimeoutMs: 200 });
    const worker = await attachByHand(session.inMemory, "w1");
    worker.append(await worker.hear("offer"), 1, { case: "runFinished", value: { status: RunStatus.COMPLETED } });
    await worker.hear("accepted");
    moveTo(noon + 1_000);
    await expect.poll(() => rowOf(session, sessionId)).toMatchObject({ state: SessionState.IDLE });
    const before = (await rowOf(session, sessionId)).headSeq;
    await at(noon + 60_000);
    expect((await updatesOf(session, sessionId)).slice(-2)).toEqual([
      told({ fields: ["state"], state: SessionState.ACTIVE, changedBy: person.name }),
      told({ fields: ["context_floor_seq"], contextFloorSeq: before, changedBy: "mesh" }),
    ]);
  });
});
