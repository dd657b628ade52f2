/**
 * The one check of the interop tests: whatever the client, its language and its protocol, it saw the same events of a
 * session, with the same seq and the same bodies, and none was missing (S1, S6).
 */
import { fromJson, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { expect } from "vitest";
import { type Event, EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import type { MeshProcess } from "../support/mesh-process.ts";
import { openTransport } from "./node-client.ts";

const pageEvents = 5_000;

/** Events out of the JSON of responses. A field or value that the contract does not know is an error. */
export function readEvents(responses: readonly JsonObject[]): readonly Event[] {
  return responses
    .flatMap(({ events }) => (Array.isArray(events) ? events : []))
    .map((each) => fromJson(EventSchema, each));
}

/** What the session's log holds: the truth that every client is held against (L3). */
export async function readLog(mesh: MeshProcess, sessionId: string): Promise<readonly Event[]> {
  const options = { protocol: "connect", codec: "binary", http: "2" } as const;
  const session = createClient(SessionService, openTransport(options, mesh.url, mesh.token));
  const { events, nextPageToken } = await session.listEvents({ sessionId, pageSize: pageEvents });
  expect(nextPageToken).toBe("");
  return events;
}

/** Fails unless everyone saw the same events, from the beginning and without a gap. Takes at least two. */
export function expectSameEvents(seen: Readonly<Record<string, readonly Event[]>>): void {
  const [first, ...others] = Object.entries(seen);
  if (first === undefined || others.length === 0) throw new Error("nothing to compare with");
  const [firstName, expected] = first;
  expect(expected.length, `${firstName} saw events`).toBeGreaterThan(0);
  expect(findGap(expected), `${firstName} has a gap`).toBeUndefined();
  for (const [name, events] of others) {
    expect(events.map(writeEvent), `${name} saw what ${firstName} saw`).toEqual(expected.map(writeEvent));
  }
}

/** The seq where the sequence breaks, or undefined when it is dense from 1. */
function findGap(events: readonly Event[]): bigint | undefined {
  let seq = 0n;
  for (const event of events) {
    if (event.firstSeq !== seq + 1n || event.seq < event.firstSeq) return event.firstSeq;
    seq = event.seq;
  }
  return undefined;
}

function writeEvent(event: Event): JsonValue {
  return toJson(EventSchema, event);
}
