/** Lists of sessions, as they are taken and as a client keeps one by the index feed, in one process and in four. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Session } from "../../gen/atoll/session/v1/session_pb.ts";
import { SessionOrder } from "../../gen/atoll/session/v1/session_service_pb.ts";
import type { WatchRequest } from "../../gen/atoll/session/v1/watch_pb.ts";
import { FrameQueue } from "../../services/kernel/stream/frame-queue.ts";
import { verifies } from "../requirements.ts";
import { type MeshProcess, topologies } from "../support/mesh-process.ts";
import { eventually, inSession, type MeshClient, readUntilEnd, refusalOf, say } from "./mesh-client.fixture.ts";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "./scripted-mesh.fixture.ts";

const byId = (one: Session, other: Session): number => (one.sessionId < other.sessionId ? -1 : 1);

describe.each(topologies)("lists of sessions, %s", (topology) => {
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

  test(`are kept by the index feed as they would be taken anew, through runs, new sessions and deletions ${verifies("S6")}`, async () => {
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

  test(`ListSessions pages through every session once ${verifies("L7")}`, async () => {
    const mark = `paged-${randomUUID().slice(0, 8)}`;
    const made: string[] = [];
    for (let each = 0; each < 7; each++) {
      const { session } = await client.session.createSession({ requestId: randomUUID(), labels: { mark } });
      made.push(session?.sessionId ?? "");
    }
    const pages: string[][] = [];
    let pageToken = "";
    do {
      const page = await client.session.listSessions({ pageSize: 3, pageToken, order: SessionOrder.CREATED_ASC });
      expect(page.sessions.length).toBeLessThanOrEqual(3);
      pages.push(page.sessions.map(({ sessionId }) => sessionId));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    const listed = pages.flat();
    expect(new Set(listed).size).toBe(listed.length);
    expect(listed.filter((id) => made.includes(id))).toEqual(made);
    expect(await refusalOf(client.session.listSessions({ pageToken: "not-a-token" }))).toMatchObject({
      code: "InvalidArgument",
      reason: "FIELD_INVALID",
      fields: ["page_token"],
    });
  });
});
