/** The list of sessions that a client keeps by the index feed, in one process and in four. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Session } from "../../gen/atoll/session/v1/session_pb.ts";
import type { WatchRequest } from "../../gen/atoll/session/v1/watch_pb.ts";
import { FrameQueue } from "../../services/kernel/stream/frame-queue.ts";
import { verifies } from "../requirements.ts";
import { type MeshProcess, topologies } from "../support/mesh-process.ts";
import { eventually, inSession, type MeshClient, readUntilEnd, say } from "./mesh-client.fixture.ts";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "./scripted-mesh.fixture.ts";

const byId = (one: Session, other: Session): number => (one.sessionId < other.sessionId ? -1 : 1);

describe.each(topologies)("the index feed, %s", (topology) => {
  let scripted: ScriptedMesh;
  let mesh: MeshProcess;
  let client: MeshClient;

  beforeAll(async () => {
    scripted = await startScriptedMesh({ topology });
    ({ mesh, client } = scripted);
  });
  afterAll(async () => {
    await scripted?.stop();
  });
  beforeEach(() => showLogOnFailure(mesh));

  test(`keeps a list as it would be taken anew, through runs, new sessions and deletions ${verifies("S6")}`, async () => {
    const { sessionId: old } = await say(client, "tokens=3");
    const gone = await say(client, "tokens=3");
    const { sessions, indexCursor } = await client.session.listSessions({});
    const kept = new Map(sessions.map((session) => [session.sessionId, session]));
    const requests = new FrameQueue<WatchRequest>();
    const control = new AbortController();
    const target = { case: "index" as const, value: true };
    const value = { $typeName: "atoll.session.v1.WatchCreate" as const, watchId: 1n, target };
    requests.offer({
      $typeName: "atoll.session.v1.WatchRequest",
      frame: { case: "create", value: { ...value, ...(indexCursor === undefined ? {} : { cursor: indexCursor }) } },
    });
    const watching = (async () => {
      for await (const { frame } of client.session.watch(requests, { signal: control.signal })) {
        if (frame.case !== "index") continue;
        for (const { sessionId, session, deleted } of frame.value.entries) {
          if (deleted) kept.delete(sessionId);
          else if (session !== undefined) kept.set(sessionId, session);
        }
      }
    })().catch((error: unknown) => error);
    const again = await say(client, "tokens=20 delay=5", inSession(old));
    await readUntilEnd(client, again);
    await readUntilEnd(client, gone);
    await readUntilEnd(client, await say(client, "tokens=3"));
    await client.session.deleteSession({ requestId: randomUUID(), sessionId: gone.sessionId });
    const list = (await client.session.listSessions({})).sessions.toSorted(byId);
    expect(list.map(({ sessionId }) => sessionId)).not.toContain(gone.sessionId);
    await eventually("the kept list is the list", () => {
      const now = [...kept.values()].toSorted(byId);
      const isThere = ({ sessionId, headSeq }: Session, index: number): boolean =>
        sessionId === list[index]?.sessionId && headSeq === list[index]?.headSeq;
      return now.length === list.length && now.every(isThere) ? true : undefined;
    });
    expect([...kept.values()].toSorted(byId)).toEqual(list);
    control.abort();
    await watching;
  });
});
