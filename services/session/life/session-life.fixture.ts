/** Calls of a session's life on a running service, and what its log tells of them. */

import { fromBinary } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { expect } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import { as, person, type RunningSession } from "../../../test/support/session-service.ts";
import { failureFacts } from "../../kernel/errors.ts";
import { newId } from "../../kernel/id.ts";

export async function readLog({ client }: RunningSession, sessionId: string): Promise<Event[]> {
  const { events } = await client.listEvents({ sessionId }, as(person));
  return events.map((bytes) => fromBinary(EventSchema, bytes));
}

/** What readers of the log were told of the session itself. */
export async function updatesOf(session: RunningSession, sessionId: string) {
  const events = await readLog(session, sessionId);
  return events.flatMap(({ body }) => {
    if (body.case !== "sessionUpdated") return [];
    const { $typeName: _, ...told } = body.value;
    return [told];
  });
}

export async function refusal(call: Promise<unknown>) {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConnectError);
  const { code } = error as ConnectError;
  return { code, ...failureFacts(error as ConnectError) };
}

export const reset = ({ client }: RunningSession, sessionId: string, ifHeadSeq?: bigint) =>
  client.resetSession(
    { requestId: newId("req"), sessionId, ...(ifHeadSeq === undefined ? {} : { ifHeadSeq }) },
    as(person),
  );

export async function rowOf({ client }: RunningSession, sessionId: string) {
  const { session } = await client.getSession({ by: { case: "sessionId", value: sessionId } }, as(person));
  if (session === undefined) throw new Error("there is no session");
  return session;
}

export const told = (change: object) => ({
  title: "",
  state: SessionState.UNSPECIFIED,
  contextFloorSeq: 0n,
  changedBy: "",
  ...change,
});
