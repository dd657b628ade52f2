/** A conversation that goes on from a copy: what its readers and its model are told. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../requirements.ts";
import { topologies } from "../support/mesh-process.ts";
import {
  answerOf,
  bytesOf,
  endsOf,
  expectDense,
  fold,
  inSession,
  isTextOf,
  readLog,
  readUntil,
  readUntilEnd,
  runOf,
  say,
} from "./mesh-client.fixture.ts";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "./scripted-mesh.fixture.ts";

describe.each(topologies)("a fork, %s", (topology) => {
  let scripted: ScriptedMesh;

  beforeAll(async () => {
    scripted = await startScriptedMesh({ topology });
  });

  afterAll(async () => {
    await scripted?.stop();
  });

  beforeEach(() => showLogOnFailure(scripted.mesh));

  test(`goes on from the middle of an answer, and the original with the answer ${verifies("S1", "R2")}`, async () => {
    const { client, fake } = scripted;
    const first = await say(client, "the heron is called Agathe");
    const { sessionId } = first;
    await readUntilEnd(client, first);
    const second = await say(client, "tokens=100 delay=10", inSession(sessionId));
    const shown = await readUntil(client, sessionId, isTextOf(second.runId), second.seq);
    const atSeq = shown.at(-1)?.seq ?? 0n;
    const { session } = await client.session.forkSession({ requestId: randomUUID(), sessionId, atSeq });
    const forkId = session?.sessionId ?? "";

    const copied = await readLog(client, forkId);
    expectDense(copied);
    const original = (await readLog(client, sessionId)).filter(({ seq }) => seq <= atSeq);
    expect(bytesOf(copied.slice(0, original.length))).toEqual(bytesOf(original));
    expect(fold(copied.slice(0, original.length))).toEqual(fold(original));
    expect(endsOf(copied, second.runId)).toMatchObject([{ status: RunStatus.CANCELLED }]);
    const snapshot = await client.session.getSnapshot({ sessionId: forkId });
    expectDense(snapshot.events);
    expect(answerOf(fold(snapshot.events), second.runId)).toBe(answerOf(fold(copied), second.runId));

    const third = await say(client, "what is the heron called?", inSession(forkId));
    const events = await readUntilEnd(client, third);
    expect(endsOf(events, third.runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    const asked = fake.requests().findLast(({ body }) => JSON.stringify(body).includes("what is the heron called?"));
    expect(JSON.stringify(asked?.body)).toContain("Agathe");
    await readUntilEnd(client, second);
    expect(runOf(fold(await readLog(client, sessionId)), second.runId).state).toMatchObject({
      status: RunStatus.COMPLETED,
    });
  });
});
