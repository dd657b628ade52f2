import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { verifies } from "../../test/requirements.ts";
import { as, person, startSessionService } from "../../test/support/session-service.ts";
import { failureFacts, reasonName } from "../kernel/errors.ts";
import { startTestGateway } from "./gateway.fixture.ts";

const words = (text: string) => ({ content: [{ block: { case: "text" as const, value: { text } } }] });

async function reasonOf(call: Promise<unknown>): Promise<[number, string]> {
  try {
    await call;
  } catch (error) {
    const known = ConnectError.from(error);
    return [known.code, reasonName(failureFacts(known).reason ?? 0)];
  }
  throw new Error("the call did not fail");
}

async function setUp() {
  const session = await startSessionService();
  const { client } = await startTestGateway(session);
  const sessions = async () => (await session.client.listSessions({ pageSize: 100 }, as(person))).sessions.length;
  return { session, client, sessions };
}

describe(`sending a message ${verifies("R1")}`, () => {
  it("creates the session once for a request that is sent many times at once, and answers all the same", async () => {
    const { client, sessions } = await setUp();
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => client.sendMessage({ requestId: "r1", message: words("hello") })),
    );
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]?.sessionId).toMatch(/^ses_/);
    expect(await sessions()).toBe(1);
    expect(await client.sendMessage({ requestId: "r1", message: words("hello") })).toEqual(answers[0]);
  });

  it("answers the same through a second gateway and after the service was started again", async () => {
    const { session, client } = await setUp();
    const first = await client.sendMessage({ requestId: "r1", message: words("hello") });
    const second = await startTestGateway(session);
    expect(await second.client.sendMessage({ requestId: "r1", message: words("hello") })).toEqual(first);
    await session.stop();
    const again = await startTestGateway(await startSessionService({ folder: session.folder }));
    expect(await again.client.sendMessage({ requestId: "r1", message: words("hello") })).toEqual(first);
  });

  it("refuses the same id with another message, another session or another key", async () => {
    const { client, sessions } = await setUp();
    const { sessionId } = await client.sendMessage({ requestId: "r1", message: words("hello") });
    const reused = [Code.AlreadyExists, "REQUEST_ID_REUSED"];
    expect(await reasonOf(client.sendMessage({ requestId: "r1", message: words("goodbye") }))).toEqual(reused);
    const keyed = { case: "sessionKey", value: "agent:main:other" } as const;
    expect(await reasonOf(client.sendMessage({ requestId: "r1", session: keyed, message: words("hello") }))).toEqual(
      reused,
    );
    const other = await client.sendMessage({ requestId: "r2", message: words("hello") });
    const named = { case: "sessionId", value: other.sessionId } as const;
    expect(await reasonOf(client.sendMessage({ requestId: "r1", session: named, message: words("hello") }))).toEqual(
      reused,
    );
    expect(other.sessionId).not.toBe(sessionId);
    expect(await sessions()).toBe(2);
  });

  it("finds the session of a key and makes it when there is none", async () => {
    const { client, sessions } = await setUp();
    const session = { case: "sessionKey", value: "agent:main:main" } as const;
    const first = await client.sendMessage({ requestId: "r1", session, message: words("one") });
    const second = await client.sendMessage({ requestId: "r2", session, message: words("two") });
    expect(second.sessionId).toBe(first.sessionId);
    expect(second.seq).toBeGreaterThan(first.seq);
    expect(await sessions()).toBe(1);
  });

  it("says in the caller's own words what is wrong with a key", async () => {
    const { client, sessions } = await setUp();
    const send = (value: string, agentId = "") =>
      client.sendMessage({ requestId: "r1", session: { case: "sessionKey", value }, agentId, message: words("hello") });
    const refused = async (call: Promise<unknown>) => {
      const error = await call.then(
        () => expect.fail("the call did not fail"),
        (thrown: unknown) => ConnectError.from(thrown),
      );
      const { reason, fields, metadata } = failureFacts(error);
      expect([error.code, reasonName(reason ?? 0)]).toEqual([Code.InvalidArgument, "FIELD_INVALID"]);
      return [...fields.map(({ path }) => path), metadata["field"]];
    };
    expect(await refused(send("agent:main:group:telegram"))).toEqual(["session_key", "session_key"]);
    expect(await refused(send("agent:main:x", "helper"))).toEqual(["agent_id", "agent_id"]);
    expect(await sessions()).toBe(0);
  });

  it("needs a request id, and makes nothing without one", async () => {
    const { client, sessions } = await setUp();
    expect(await reasonOf(client.sendMessage({ message: words("hello") }))).toEqual([
      Code.InvalidArgument,
      "FIELD_INVALID",
    ]);
    expect(await reasonOf(client.sendMessage({ requestId: "r1" }))).toEqual([Code.InvalidArgument, "FIELD_INVALID"]);
    expect(await sessions()).toBe(0);
  });

  it("refuses a bound on costs, which nobody could keep, and makes nothing", async () => {
    const { client, sessions } = await setUp();
    const send = (maxCostMicroUsd: bigint) =>
      client.sendMessage({ requestId: "r1", message: words("hello"), options: { maxCostMicroUsd } });
    const error = await send(1n).then(
      () => expect.fail("the call did not fail"),
      (thrown: unknown) => ConnectError.from(thrown),
    );
    const { reason, fields } = failureFacts(error);
    expect([error.code, reasonName(reason ?? 0)]).toEqual([Code.InvalidArgument, "FIELD_INVALID"]);
    expect(fields).toMatchObject([
      { path: "options.max_cost_micro_usd", problem: expect.stringContaining("costs are not known yet") },
    ]);
    expect(await sessions()).toBe(0);
    expect(await send(0n)).toMatchObject({ runId: expect.stringMatching(/^run_/) });
  });
});
