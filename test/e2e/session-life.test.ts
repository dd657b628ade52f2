/** A session's life through the public port, in one process and in four: what changes it, who is told, and how it ends. */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ErrorReason } from "../../gen/atoll/error/v1/error_reason_pb.ts";
import { SessionState } from "../../gen/atoll/event/v1/log_events_pb.ts";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import type { ChatRequest } from "../../gen/atoll/gateway/v1/chat_pb.ts";
import { FrameQueue } from "../../services/kernel/stream/frame-queue.ts";
import { verifies } from "../requirements.ts";
import { topologies } from "../support/mesh-process.ts";
import {
  endsOf,
  eventually,
  expectDense,
  inSession,
  isTextOf,
  type MeshClient,
  readLog,
  readUntil,
  readUntilEnd,
  refusalOf,
  say,
} from "./mesh-client.fixture.ts";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "./scripted-mesh.fixture.ts";

describe.each(topologies)("a session's life, %s", (topology) => {
  let scripted: ScriptedMesh;
  let client: MeshClient;

  beforeAll(async () => {
    const config = JSON.stringify({
      mcpServers: { filesystem: { disabled: true } },
      sessions: { idleTimeoutMs: 300, cachedSessions: 3 },
    });
    scripted = await startScriptedMesh({ topology, config });
    ({ client } = scripted);
  });

  afterAll(async () => {
    await scripted?.stop();
  });

  beforeEach(() => showLogOnFailure(scripted.mesh));

  const requestId = () => randomUUID();
  const get = async (sessionId: string) =>
    (await client.session.getSession({ by: { case: "sessionId", value: sessionId } })).session;

  /** How a reader of the session ends that goes on until it is told otherwise. */
  const subscription = (sessionId: string) => refusalOf(readUntil(client, sessionId, () => false));

  test("an update is one change, and an event for its readers", async () => {
    const sent = await say(client, "hello");
    await readUntilEnd(client, sent);
    const { sessionId } = sent;
    const reading = readUntil(
      client,
      sessionId,
      ({ body }) => body.case === "sessionUpdated" && body.value.title === "Boats",
    );
    const { session } = await client.session.updateSession({
      requestId: requestId(),
      sessionId,
      session: { title: "Boats", variables: { seen: 3 } },
      updateMask: { paths: ["title", "variables"] },
    });
    expect(session).toMatchObject({ title: "Boats", variables: { seen: 3 } });
    expectDense(await reading);
  });

  test("after a reset the model is shown nothing of before; the log has it", async () => {
    const words = `red ${randomUUID()}`;
    const first = await say(client, words);
    await readUntilEnd(client, first);
    const { sessionId } = first;
    const { session } = await client.session.resetSession({ requestId: requestId(), sessionId });
    const again = await say(client, `blue ${randomUUID()}`, inSession(sessionId));
    await readUntilEnd(client, { ...again, sessionId, afterSeq: again.seq });
    const asked = JSON.stringify(scripted.fake.requests().at(-1)?.body);
    expect(asked).toContain("blue");
    expect(asked).not.toContain(words);
    const log = await readLog(client, sessionId);
    expect(log[0]?.body).toMatchObject({ case: "messageReceived" });
    expect(session?.contextFloorSeq).toBeGreaterThan(first.seq);
  });

  test("the status counts the sessions, the active ones, and what the agents remember of how much they may", async () => {
    const before = await client.admin.getStatus({});
    const sent = await say(client, "hello");
    await readUntilEnd(client, sent);
    const after = await client.admin.getStatus({});
    expect(after.sessions).toBe(before.sessions + 1n);
    expect(after.activeSessions).toBe(before.activeSessions + 1n);
    const cached = ({ instances }: typeof after) => instances.reduce((sum, each) => sum + each.cachedSessions, 0);
    expect(cached(after)).toBe(Math.min(cached(before) + 1, 3));
    expect(Math.max(...after.instances.map((each) => each.cachedSessionsCapacity))).toBe(3);
    const { sessionId } = sent;
    await client.session.deleteSession({ requestId: requestId(), sessionId });
    expect((await client.admin.getStatus({})).sessions).toBe(before.sessions);
  });

  test("a silent session becomes idle, and active again with its next message", async () => {
    const sent = await say(client, "hello");
    const { sessionId } = sent;
    await readUntilEnd(client, sent);
    await eventually("it is idle", async () =>
      (await get(sessionId))?.state === SessionState.IDLE ? true : undefined,
    );
    const woken = await say(client, "again", inSession(sessionId));
    const log = await readUntilEnd(client, { ...woken, sessionId });
    const states = log.flatMap(({ body }) => (body.case === "sessionUpdated" ? [body.value.state] : []));
    expect(states.filter((state) => state !== SessionState.UNSPECIFIED)).toEqual([
      SessionState.IDLE,
      SessionState.ACTIVE,
    ]);
  });

  test(`closing ends the active and the waiting runs, once each, and refuses what comes ${verifies("R2", "R5")}`, async () => {
    const active = await say(client, "tokens=2000 delay=10");
    const { sessionId } = active;
    await readUntil(client, sessionId, isTextOf(active.runId));
    const waiting = await say(client, "and then", inSession(sessionId));
    const reading = readUntilEnd(client, { sessionId, runId: active.runId });
    const { session } = await client.session.closeSession({ requestId: requestId(), sessionId });
    expect(session).toMatchObject({ state: SessionState.CLOSED, queuedRuns: 0 });
    const events = await reading;
    expectDense(events);
    for (const { runId } of [active, waiting])
      expect(endsOf(events, runId)).toMatchObject([{ status: RunStatus.CANCELLED }]);
    expect(await refusalOf(say(client, "more", inSession(sessionId)))).toMatchObject({
      code: "FailedPrecondition",
      reason: "SESSION_CLOSED",
      metadata: { session_id: sessionId },
    });
    expect((await get(sessionId))?.activeRunId).toBe("");
  });

  test("deleting ends every reader with a reason, whatever it reads by", async () => {
    const { sessionId, runId } = await say(client, "tokens=2000 delay=10");
    await readUntil(client, sessionId, isTextOf(runId));
    const requests = new FrameQueue<Pick<ChatRequest, "requestId" | "action">>();
    const opened = Promise.withResolvers<void>();
    const chat = (async () => {
      for await (const { frame } of client.gateway.chat(requests as AsyncIterable<object>)) {
        if (frame.case === "opened") opened.resolve();
        if (frame.case === "error") return frame.value;
      }
      return undefined;
    })();
    requests.offer({ requestId: "o1", action: { case: "open", value: inSession(sessionId) as never } });
    await opened.promise;
    const readers = [subscription(sessionId), subscription(sessionId)];
    const waiter = refusalOf(client.gateway.waitRun({ runId, timeoutMs: 60_000 }));
    const begun = Promise.withResolvers<void>();
    const untilEnd = refusalOf(
      (async () => {
        for await (const _ of client.gateway.subscribe({ sessionId, untilRunId: runId })) begun.resolve();
      })(),
    );
    await begun.promise;
    await client.session.deleteSession({ requestId: requestId(), sessionId });
    const gone = { code: "NotFound", reason: "SESSION_NOT_FOUND", metadata: { session_id: sessionId } };
    for (const reader of [...readers, untilEnd, subscription(sessionId)]) expect(await reader).toMatchObject(gone);
    expect(await waiter).toMatchObject({ code: "NotFound", reason: "RUN_NOT_FOUND" });
    expect(await chat).toMatchObject({ reason: ErrorReason.SESSION_NOT_FOUND, sessionId });
    requests.end();
    expect(await refusalOf(say(client, "more", inSession(sessionId)))).toMatchObject(gone);
    // The worker of its run is free for others.
    const other = await say(client, "hello");
    expect(endsOf(await readUntilEnd(client, other), other.runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
  });
});
