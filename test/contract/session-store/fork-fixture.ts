// Forks of a store under test, with their usual values.

import { randomUUID } from "node:crypto";
import { encodeEvent } from "../../../services/kernel/event/encode-event.ts";
import type { StoredEvent } from "../../../services/kernel/event/stored-event.ts";
import type { Forked, ForkRefusal, SessionFork } from "../../../services/session/store/changes.ts";
import type { Answered } from "../../../services/session/store/request.ts";
import type { SessionRow } from "../../../services/session/store/rows.ts";
import { sessionStates } from "../../../services/session/store/session-states.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  decodeEvents,
  delta,
  lastBatchOf,
  outcomeOf,
  request,
  type StoreUnderTest,
  scope,
  startRun,
} from "./store-fixture.ts";

export function forksIn(test: StoreUnderTest) {
  const forkOf = (sessionId: string, changes: Partial<SessionFork> = {}): SessionFork => ({
    ...{
      sessionId,
      atSeq: 0,
      forkId: randomUUID(),
      logId: randomUUID(),
      key: "",
      agentId: "",
      title: "",
      maxBytes: 1e9,
    },
    ending: ({ runId, attempt }) =>
      encodeEvent({ runId, attempt, body: { case: "runFinished", value: { status: 3, cancelledBy: "fork" } } }),
    update: ({ title, state }, fields) =>
      encodeEvent({
        body: { case: "sessionUpdated", value: { fields: [...fields], title, state: sessionStates[state] } },
      }),
    ...changes,
  });

  const tryFork = (
    sessionId: string,
    changes: Partial<SessionFork> = {},
    by = scope,
  ): Promise<Answered<Forked> | ForkRefusal> =>
    test.store.forkSession(
      by,
      request(({ session }) => session.sessionId),
      forkOf(sessionId, changes),
    );

  const fork = async (sessionId: string, changes: Partial<SessionFork> = {}): Promise<Forked> =>
    outcomeOf(await tryFork(sessionId, changes));

  async function getSession(sessionId: string): Promise<SessionRow> {
    const row = await test.store.getSession(scope, { sessionId });
    if (row === undefined) throw new Error("the session is not there");
    return row;
  }

  async function readAll(sessionId: string): Promise<readonly StoredEvent[]> {
    const page = await test.store.readEvents(scope, sessionId, { afterSeq: 0, maxEvents: 1e6, maxBytes: 1e9 });
    if (page.kind !== "page") throw new Error("the session is not there");
    return page.events;
  }

  /** A log of many kinds of runs: one that ended, one that is taken up the second time, one steered, two that wait. */
  async function writeLog(): Promise<string> {
    const { run: ended } = await startRun(test.store);
    const { sessionId } = ended;
    await append(test.store, batchOf(ended, 1, { events: ["a", "b", "c"].map((text) => delta(ended.runId, text)) }));
    await append(test.store, lastBatchOf(ended, 2));
    for (let i = 0; i < 3; i++) await accept(test.store, sessionId);
    const { run } = await claimOne(test.store);
    await append(test.store, batchOf(run, 1));
    await accept(test.store, sessionId, { entry: { kind: "steer", command: new Uint8Array() } });
    await test.store.takeOverRun(run, ({ runId, attempt }) => [
      encodeEvent({ runId, attempt, body: { case: "runResumed", value: { attempt } } }),
    ]);
    return sessionId;
  }

  /** Run ids as the log names them, with how many ends each has. */
  function endsOf(events: readonly StoredEvent[]): Map<string, number> {
    const ends = new Map<string, number>();
    for (const { body, runId } of decodeEvents(events)) {
      const named = body.case === "messageReceived" ? body.value.runId : runId;
      if (named !== "") ends.set(named, (ends.get(named) ?? 0) + (body.case === "runFinished" ? 1 : 0));
    }
    return ends;
  }

  return { forkOf, tryFork, fork, getSession, readAll, writeLog, endsOf };
}
