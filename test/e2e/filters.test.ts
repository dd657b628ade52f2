/** One filter, every way to read: a client is shown the same events, and every place of the sequence is accounted for. */
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import { type EventFilter, EventFilterSchema, type WatchRequest } from "../../gen/atoll/session/v1/watch_pb.ts";
import { FrameQueue } from "../../services/kernel/stream/frame-queue.ts";
import { applyEvents, createFold } from "../../web/client/fold/fold-events.ts";
import { verifies } from "../requirements.ts";
import { type MeshProcess, topologies } from "../support/mesh-process.ts";
import { openChat } from "./chat.fixture.ts";
import {
  bytesOf,
  endsOf,
  expectDense,
  inSession,
  type MeshClient,
  readLog,
  readUntilEnd,
  say,
} from "./mesh-client.fixture.ts";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "./scripted-mesh.fixture.ts";

const filter = create(EventFilterSchema, {
  include: ["message_received", "text_delta", "block_completed", "run_finished"],
  exclude: ["text_delta"],
});

describe.each(topologies)("filtered streams, %s", (topology) => {
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

  async function subscribe(sessionId: string, afterSeq: bigint, untilRunId: string): Promise<Event[]> {
    const events: Event[] = [];
    for await (const response of client.gateway.subscribe({ sessionId, afterSeq, untilRunId, filter })) {
      events.push(...response.events);
    }
    return events;
  }

  async function watch(sessionId: string, afterSeq: bigint, untilRunId: string): Promise<Event[]> {
    const requests = new FrameQueue<WatchRequest>();
    const control = new AbortController();
    requests.offer(watchOf(sessionId, afterSeq, filter));
    const events: Event[] = [];
    for await (const { frame } of client.session.watch(requests, { signal: control.signal })) {
      if (frame.case === "batch") events.push(...frame.value.events);
      if (endsOf(events, untilRunId).length > 0) break;
    }
    control.abort();
    return events;
  }

  async function chat(sessionId: string, afterSeq: bigint, untilRunId: string): Promise<Event[]> {
    const stream = openChat(client);
    const open = { ...inSession(sessionId), cursor: { afterSeq }, filter };
    stream.say({ requestId: "open", action: { case: "open", value: open } });
    await stream.until((events) => endsOf(events, untilRunId).length > 0);
    stream.cut();
    return [...stream.events];
  }

  async function list(sessionId: string, afterSeq: bigint): Promise<Event[]> {
    const events: Event[] = [];
    let pageToken = "";
    do {
      const cursor = { afterSeq };
      const page = await client.session.listEvents({ sessionId, cursor, pageToken, pageSize: 7, filter });
      events.push(...page.events);
      ({ nextPageToken: pageToken } = page);
    } while (pageToken !== "");
    return events;
  }

  test(`Subscribe, Watch, Chat and ListEvents show the same events of a live run, each dense ${verifies("S1", "S6")}`, async () => {
    const first = await say(client, "tokens=40 delay=1");
    const { sessionId } = first;
    await readUntilEnd(client, first);
    const { runId } = await say(client, "tokens=80 delay=5", inSession(sessionId));
    const ways = [subscribe, watch, chat];
    const read = await Promise.all([
      ...ways.map((way) => way(sessionId, 0n, runId)),
      // Others begin inside what the first ones were told of as hidden.
      ...ways.map((way) => way(sessionId, 9n, runId)),
    ]);
    const log = await readLog(client, sessionId);
    const kept = ["messageReceived", "blockCompleted", "runFinished"];
    const wanted = log.filter(({ body }) => kept.includes(body.case ?? ""));
    expect(wanted.length).toBeGreaterThan(5);
    for (const [index, events] of [...read, await list(sessionId, 0n)].entries()) {
      const afterSeq = index >= ways.length && index < 2 * ways.length ? 9n : 0n;
      expectDense(events, afterSeq);
      expect(events.at(-1)?.seq).toBe(log.at(-1)?.seq);
      const shown = events.filter(({ body }) => body.case !== "omitted");
      expect(bytesOf(shown)).toEqual(bytesOf(wanted.filter(({ seq }) => seq > afterSeq)));
      // A filtered stream folds: what is hidden explains what is missing.
      if (afterSeq === 0n) expect(applyEvents(createFold(), events).seq).toBe(Number(log.at(-1)?.seq));
    }
  });
});

function watchOf(sessionId: string, afterSeq: bigint, wanted: EventFilter): WatchRequest {
  const cursor = { $typeName: "atoll.session.v1.Cursor" as const, logId: "", afterSeq };
  const target = { case: "sessionId" as const, value: sessionId };
  const value = { $typeName: "atoll.session.v1.WatchCreate" as const, watchId: 1n, target, cursor, filter: wanted };
  return { $typeName: "atoll.session.v1.WatchRequest", frame: { case: "create", value } };
}
