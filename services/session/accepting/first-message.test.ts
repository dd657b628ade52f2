/** A session that is made with its first message: both or neither. */
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { QueueMode } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { as, person, type RunningSession, startSessionService } from "../../../test/support/session-service.ts";
import { ErrorReason, failureFacts } from "../../kernel/errors.ts";
import { newId } from "../../kernel/id.ts";

const key = "agent:main:first";
const message = { content: [{ block: { case: "text" as const, value: { text: "hello" } } }] };

type Ask = Parameters<RunningSession["client"]["submitMessage"]>[0];

const send = ({ client }: RunningSession, ask: Ask = {}) =>
  client.submitMessage({ requestId: newId("req"), sessionKey: key, message, ...ask } as Ask, as(person));

async function refusalOf(call: Promise<unknown>) {
  const error = await call.then(() => expect.fail("it was not refused"), ConnectError.from);
  const { reason, fields, metadata } = failureFacts(error);
  return { code: error.code, reason, fields: fields.map(({ path }) => path), metadata };
}

const sessionsOf = async ({ client }: RunningSession) => (await client.listSessions({}, as(person))).sessions;

describe(`a message to a key ${verifies("FL3")}`, () => {
  it("makes the session, once, whoever comes first", async () => {
    const session = await startSessionService();
    const sent = await Promise.all(Array.from({ length: 8 }, () => send(session)));
    const [made, ...others] = await sessionsOf(session);
    expect(others).toEqual([]);
    expect(new Set(sent.map(({ sessionId }) => sessionId))).toEqual(new Set([made?.sessionId]));
    expect(made).toMatchObject({ key, agentId: "main", createdBy: person.name, messageCount: 8, title: "hello" });
  });

  it("makes a new session for each that names none, and the same one for the same request", async () => {
    const session = await startSessionService();
    const requestId = newId("req");
    const [first, again, other] = await Promise.all([
      send(session, { requestId, sessionKey: "" }),
      send(session, { requestId, sessionKey: "" }),
      send(session, { sessionKey: "" }),
    ]);
    expect(again).toEqual(first);
    expect(other.sessionId).not.toBe(first.sessionId);
    expect(await sessionsOf(session)).toHaveLength(2);
  });

  it.each<[string, Ask, object]>([
    ["a head that it can't have", { ifHeadSeq: 7n }, { code: Code.Aborted, reason: ErrorReason.HEAD_MOVED }],
    [
      "an extension that is none",
      {
        message: { content: [{ block: { case: "extension", value: { typeUrl: "x", value: Uint8Array.of(1) } } }] },
      } as Ask,
      { reason: ErrorReason.FIELD_INVALID },
    ],
    ["no message", { message: undefined } as never, { reason: ErrorReason.FIELD_INVALID }],
    ["a mode that there is not", { queueMode: 99 as QueueMode }, { reason: ErrorReason.FIELD_INVALID }],
    ["another agent than the key's", { agentId: "other" }, { reason: ErrorReason.FIELD_INVALID, fields: ["agent_id"] }],
    [
      "a key that is none",
      { sessionKey: "agent:main:" },
      { reason: ErrorReason.FIELD_INVALID, fields: ["session_key"] },
    ],
    ["an id beside it", { sessionId: "ses_1" }, { reason: ErrorReason.FIELD_INVALID, fields: ["session_key"] }],
  ])(
    "that is refused for %s leaves nothing, and the same request is taken once it is right",
    async (_why, ask, refused) => {
      const session = await startSessionService();
      const requestId = newId("req");
      expect(await refusalOf(send(session, { ...ask, requestId }))).toMatchObject(refused);
      expect(await sessionsOf(session)).toEqual([]);
      expect((await send(session, { requestId })).seq).toBe(1n);
      expect(await sessionsOf(session)).toHaveLength(1);
    },
  );

  it("is refused where nothing may wait, and leaves nothing", async () => {
    const session = await startSessionService({ settings: { maxQueuedRuns: 0 } });
    expect(await refusalOf(send(session))).toMatchObject({ reason: ErrorReason.QUEUE_FULL });
    expect(await sessionsOf(session)).toEqual([]);
  });

  it("can ask for a session that is empty or not there yet", async () => {
    const session = await startSessionService();
    const { sessionId } = await send(session, { ifHeadSeq: 0n });
    expect(await refusalOf(send(session, { ifHeadSeq: 0n }))).toMatchObject({ reason: ErrorReason.HEAD_MOVED });
    const byId = { sessionKey: "", sessionId, ifHeadSeq: 0n };
    expect(await refusalOf(send(session, byId))).toMatchObject({ reason: ErrorReason.HEAD_MOVED });
    const { session: empty } = await session.client.createSession({ requestId: newId("req") }, as(person));
    expect((await send(session, { ...byId, sessionId: empty?.sessionId ?? "" })).seq).toBe(1n);
    // One of many that ask for the beginning has it.
    const all = await Promise.allSettled(
      Array.from({ length: 5 }, () => send(session, { sessionKey: "agent:main:race", ifHeadSeq: 0n })),
    );
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("makes its session again when that was deleted, and answers the request that made the first as before", async () => {
    const session = await startSessionService();
    const requestId = newId("req");
    const first = await send(session, { requestId });
    await session.client.deleteSession({ requestId: newId("req"), sessionId: first.sessionId }, as(person));
    expect(await send(session, { requestId })).toEqual(first);
    expect(await sessionsOf(session)).toEqual([]);
    const second = await send(session);
    expect(second.sessionId).not.toBe(first.sessionId);
    expect((await sessionsOf(session)).map(({ sessionId }) => sessionId)).toEqual([second.sessionId]);
  });

  it("is refused by a closed session of the key, and by a busy one when it may not wait; neither changes", async () => {
    const session = await startSessionService();
    const { sessionId, runId } = await send(session);
    const headOf = async () => (await sessionsOf(session)).map(({ headSeq }) => headSeq);
    const before = await headOf();
    const reject = { queueMode: QueueMode.REJECT };
    expect(await refusalOf(send(session, reject))).toMatchObject({
      ...{ reason: ErrorReason.SESSION_BUSY, metadata: { run_id: runId } },
    });
    expect(await headOf()).toEqual(before);
    await session.client.closeSession({ requestId: newId("req"), sessionId }, as(person));
    expect(await refusalOf(send(session))).toMatchObject({
      ...{ reason: ErrorReason.SESSION_CLOSED },
    });
    expect(await sessionsOf(session)).toHaveLength(1);
  });

  it("that forks to a key that is taken leaves nothing of the fork", async () => {
    const session = await startSessionService();
    const { sessionId } = await send(session);
    const fork = { requestId: newId("req"), sessionId, key };
    expect(await refusalOf(session.client.forkSession(fork, as(person)))).toMatchObject({
      reason: ErrorReason.SESSION_KEY_TAKEN,
    });
    expect(await sessionsOf(session)).toHaveLength(1);
  });
});
