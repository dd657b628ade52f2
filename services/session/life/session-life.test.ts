import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ResetMode, type SessionSchema } from "../../../gen/atoll/session/v1/session_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
  takeUp,
} from "../../../test/support/session-service.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { newId } from "../../kernel/id.ts";
import { attachByHand } from "../workers/hand-worker.fixture.ts";
import { refusal, reset, rowOf, told, updatesOf } from "./session-life.fixture.ts";

const finish = { case: "runFinished", value: { status: RunStatus.COMPLETED } } as const;

type SessionInit = Exclude<MessageInitShape<typeof SessionSchema>, { $typeName: string }>;

function update(
  { client }: RunningSession,
  sessionId: string,
  paths: string[],
  session: SessionInit,
  more: { readonly requestId?: string; readonly ifHeadSeq?: bigint } = {},
) {
  return client.updateSession(
    { requestId: newId("req"), sessionId, session, updateMask: { paths }, ...more },
    as(person),
  );
}

describe("updating a session", () => {
  const profile = {
    preferences: { language: "fr", deep: { list: [1, true, null] } },
    variables: { visits: 3 },
    task: { title: "Paint the boat", percent: 40, detail: "the hull" },
    resetPolicy: { mode: ResetMode.DAILY, hour: 4 },
    idleTimeout: durationFromMs(90_000),
    labels: { team: "blue" },
    title: "Boats",
  } as const satisfies SessionInit;
  const all = ["title", "labels", "reset_policy", "preferences", "variables", "task", "idle_timeout"];

  it("takes the fields of the mask, keeps them over a restart and tells readers of the log", async () => {
    const first = await startSessionService();
    const { sessionId } = await sendWords(first, "hello");
    const { session } = await update(first, sessionId, all, profile);
    expect(session).toMatchObject(profile);
    expect((await updatesOf(first, sessionId)).at(-1)).toEqual(
      told({ fields: all, title: "Boats", changedBy: person.name }),
    );
    await first.stop();
    const second = await startSessionService({ folder: first.folder });
    expect(await rowOf(second, sessionId)).toEqual(session);
  });

  it("leaves what the mask does not name, and takes away what it names and the session lacks", async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "hello");
    await update(session, sessionId, all, profile);
    await update(session, sessionId, ["task", "idle_timeout"], { title: "not named", variables: { visits: 9 } });
    const row = await rowOf(session, sessionId);
    const { task: _, idleTimeout: __, ...kept } = profile;
    expect(row).toMatchObject(kept);
    expect([row.task, row.idleTimeout]).toEqual([undefined, undefined]);
    await update(session, sessionId, ["labels", "title"], {});
    expect(await rowOf(session, sessionId)).toMatchObject({ labels: {}, title: "", preferences: profile.preferences });
  });

  it("leaves what may be large out of lists", async () => {
    const session = await startSessionService();
    const { sessionId, runId } = await sendWords(session, "hello");
    await update(session, sessionId, all, profile);
    const linked = { ...person, name: "link:1", sessionId };
    for (const principal of [person, await takeUp(session, runId), linked]) {
      const { sessions } = await session.client.listSessions({}, as(principal));
      expect(sessions).toMatchObject([{ sessionId, task: profile.task, resetPolicy: profile.resetPolicy }]);
      expect([sessions[0]?.preferences, sessions[0]?.variables]).toEqual([undefined, undefined]);
    }
  });

  it(`is answered again for the same request, and refused with another body ${verifies("R1")}`, async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "hello");
    const requestId = newId("req");
    const rename = (title: string) => update(session, sessionId, ["title"], { title }, { requestId });
    const answer = await rename("Boats");
    await update(session, sessionId, ["title"], { title: "Ships" });
    expect(await rename("Boats")).toEqual(answer);
    expect(await refusal(rename("Cars"))).toMatchObject({ reason: ErrorReason.REQUEST_ID_REUSED });
    expect((await rowOf(session, sessionId)).title).toBe("Ships");
    expect(await updatesOf(session, sessionId)).toHaveLength(3);
  });

  it("is refused with the path of what is wrong, and changes nothing", async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "hello");
    const before = await rowOf(session, sessionId);
    const large = { text: "x".repeat(65_536) };
    const idle = (ms: number) => ({ idleTimeout: durationFromMs(ms) });
    const policy = (idleMs: number) => ({ resetPolicy: { mode: ResetMode.IDLE, idle: durationFromMs(idleMs) } });
    const cases: readonly [paths: string[], session: SessionInit, path: string][] = [
      [[], {}, "update_mask.paths"],
      [["key"], {}, "update_mask.paths[0]"],
      [["title", "head_seq"], {}, "update_mask.paths[1]"],
      [["task.percent"], {}, "update_mask.paths[0]"],
      [["preferences"], { preferences: large }, "session.preferences"],
      [["variables"], { variables: large }, "session.variables"],
      [["idle_timeout"], idle(999), "session.idle_timeout"],
      [["idle_timeout"], idle(367 * 86_400_000), "session.idle_timeout"],
      [["reset_policy"], policy(59_999), "session.reset_policy.idle"],
      [["reset_policy"], { resetPolicy: { mode: ResetMode.IDLE } }, "session.reset_policy.idle"],
      [["reset_policy"], { resetPolicy: { mode: ResetMode.DAILY, hour: 24 } }, "session.reset_policy.hour"],
      [["task"], { task: { percent: 101 } }, "session.task.percent"],
      [["title"], { title: "x".repeat(257) }, "session.title"],
    ];
    for (const [paths, wrong, path] of cases) {
      expect(await refusal(update(session, sessionId, paths, wrong))).toMatchObject({
        code: Code.InvalidArgument,
        reason: ErrorReason.FIELD_INVALID,
        fields: [{ path, problem: expect.stringMatching(/./) }],
      });
    }
    expect(await rowOf(session, sessionId)).toEqual(before);
  });

  it(`takes labels of a bounded size ${verifies("L7")}`, async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "hello");
    const label = (name: string, text: string) => update(session, sessionId, ["labels"], { labels: { [name]: text } });
    await label("n".repeat(64), "v".repeat(256));
    for (const [name, text] of [
      ["n".repeat(65), ""],
      ["", "v"],
      ["n", "v".repeat(257)],
    ] as const)
      expect(await refusal(label(name, text))).toMatchObject({ reason: ErrorReason.FIELD_INVALID });
  });

  it("is refused when the head has moved, the session is closed, or is not there", async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "hello");
    const { headSeq } = await rowOf(session, sessionId);
    const rename = (id: string, ifHeadSeq?: bigint) =>
      update(session, id, ["title"], { title: "x" }, ifHeadSeq === undefined ? {} : { ifHeadSeq });
    await rename(sessionId, headSeq);
    expect(await refusal(rename(sessionId, headSeq))).toMatchObject({
      code: Code.Aborted,
      reason: ErrorReason.HEAD_MOVED,
      metadata: { head_seq: String(headSeq + 1n) },
    });
    await session.client.closeSession({ requestId: newId("req"), sessionId }, as(person));
    for (const call of [rename(sessionId), reset(session, sessionId), sendWords(session, "more", { sessionId })])
      expect(await refusal(call)).toMatchObject({ code: Code.FailedPrecondition, reason: ErrorReason.SESSION_CLOSED });
    for (const call of [rename("ses_unknown"), reset(session, "ses_unknown")])
      expect(await refusal(call)).toMatchObject({ code: Code.NotFound, reason: ErrorReason.SESSION_NOT_FOUND });
  });
});

describe("the sweep of idle sessions", () => {
  it("makes a silent one idle, tells its watchers, and the next message makes it active again", async () => {
    const session = await startSessionService({ settings: { idleTimeoutMs: 200 } });
    const worker = await attachByHand(session.inMemory, "w1");
    const { sessionId } = await sendWords(session, "hello");
    worker.append(await worker.hear("offer"), 1, finish);
    await expect.poll(() => rowOf(session, sessionId)).toMatchObject({ state: SessionState.IDLE });
    expect((await updatesOf(session, sessionId)).at(-1)).toEqual(
      told({ fields: ["state"], state: SessionState.IDLE, changedBy: "mesh" }),
    );
    const { sessions } = await session.client.listSessions({ states: [SessionState.IDLE] }, as(person));
    expect(sessions.map((each) => each.sessionId)).toEqual([sessionId]);
    await sendWords(session, "again", { sessionId });
    expect((await rowOf(session, sessionId)).state).toBe(SessionState.ACTIVE);
    expect((await updatesOf(session, sessionId)).at(-1)).toEqual(
      told({ fields: ["state"], state: SessionState.ACTIVE, changedBy: person.name }),
    );
  });
});

describe("counting sessions", () => {
  it("tells all and the ones that changed lately, and a run's token of its own session alone", async () => {
    let nowMs = Date.UTC(2026, 0, 1);
    const session = await startSessionService({ nowMs: () => nowMs });
    const old = await sendWords(session, "old");
    nowMs += 299_999;
    await sendWords(session, "new");
    const count = async (activeWithinS = 0, principal = person) => {
      const { total, active } = await session.client.countSessions({ activeWithinS }, as(principal));
      return [total, active];
    };
    expect(await count()).toEqual([2n, 2n]);
    nowMs += 2;
    expect(await count()).toEqual([2n, 1n]);
    expect(await count(600)).toEqual([2n, 2n]);
    expect(await count(0, { ...person, tenant: "other" })).toEqual([0n, 0n]);
    expect(await count(0, await takeUp(session, old.runId))).toEqual([1n, 1n]);
  });
});
