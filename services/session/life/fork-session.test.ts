import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
  takeUp,
} from "../../../test/support/session-service.ts";
import { ErrorReason, failureFacts } from "../../kernel/errors.ts";
import { newId } from "../../kernel/id.ts";

const fork = ({ client }: RunningSession, sessionId: string, more: object = {}) =>
  client.forkSession({ requestId: newId("req"), sessionId, ...more }, as(person));

async function refusal(call: Promise<unknown>) {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConnectError);
  return { code: (error as ConnectError).code, ...failureFacts(error as ConnectError) };
}

describe("forking a session", () => {
  it(`gives the same events under the same numbers, once for a request ${verifies("R1", "S1")}`, async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "hello");
    await sendWords(session, "again", { sessionId });
    const request = { requestId: newId("req"), sessionId, atSeq: 3n, key: "agent:main:fork", title: "Another way" };
    const forked = await session.client.forkSession(request, as(person));
    expect(await session.client.forkSession(request, as(person))).toEqual(forked);
    const id = forked.session?.sessionId ?? "";
    expect(forked.session).toMatchObject({
      ...{ forkedFromSessionId: sessionId, forkedAtSeq: 3n, key: "agent:main:fork", title: "Another way" },
      ...{ agentId: "main", messageCount: 1, queuedRuns: 0, createdBy: "user:ada" },
    });
    const list = async (of: string) => (await session.client.listEvents({ sessionId: of }, as(person))).events;
    expect((await list(id)).slice(0, 3)).toEqual((await list(sessionId)).slice(0, 3));
    const { sessions } = await session.client.listSessions({}, as(person));
    expect(sessions).toHaveLength(2);
    const other = await refusal(session.client.forkSession({ ...request, atSeq: 2n }, as(person)));
    expect(other).toMatchObject({ code: Code.AlreadyExists, reason: ErrorReason.REQUEST_ID_REUSED });
  });

  it("is refused by name when it can't be made", async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "hello");
    const stranger = as({ ...person, tenant: "elsewhere" });
    const elsewhere = session.client.forkSession({ requestId: newId("req"), sessionId }, stranger);
    expect(await refusal(elsewhere)).toMatchObject({ code: Code.NotFound, reason: ErrorReason.SESSION_NOT_FOUND });
    const holder = as(await takeUp(session, (await sendWords(session, "other")).runId));
    const another = session.client.forkSession({ requestId: newId("req"), sessionId }, holder);
    expect(await refusal(another)).toMatchObject({ reason: ErrorReason.SESSION_NOT_FOUND });
    expect(await refusal(fork(session, sessionId, { atSeq: 9n }))).toMatchObject({
      ...{ code: Code.OutOfRange, reason: ErrorReason.CURSOR_AHEAD, metadata: { oldest_seq: "1", head_seq: "3" } },
    });
    const key = "agent:main:taken";
    const first = await fork(session, sessionId, { key });
    expect(await refusal(fork(session, sessionId, { key }))).toMatchObject({
      code: Code.AlreadyExists,
      reason: ErrorReason.SESSION_KEY_TAKEN,
      metadata: { key, session_id: first.session?.sessionId },
    });
  });
});
