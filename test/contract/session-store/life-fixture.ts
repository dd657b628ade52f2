// Calls of a session's life, with their usual values.

import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import type { Scope } from "../../../services/kernel/store/scope.ts";
import type {
  NewMessage,
  SessionChange,
  SessionChanged,
  SessionEnded,
} from "../../../services/session/store/changes.ts";
import type { Request } from "../../../services/session/store/request.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";
import {
  append,
  decodeEvents,
  lastBatchOf,
  readLog,
  request,
  scope,
  sessionUpdated,
  startRun,
  wish,
} from "./store-fixture.ts";

export const steer: Partial<NewMessage> = { entry: { kind: "steer", command: Uint8Array.of(7) } };
const closed = () => sessionUpdated({ fields: ["state"], state: SessionState.CLOSED });

type Changes = Partial<Omit<SessionChange, "sessionId">>;
type Asked = Partial<Pick<Request<unknown>, "requestId" | "digest">>;

export function change(
  store: SessionStore,
  sessionId: string,
  changes: Changes = {},
  asked: Asked = {},
  by: Scope = scope,
) {
  const titled: Omit<SessionChange, "sessionId"> = {
    ifHeadSeq: undefined,
    change: () => ({ title: "new" }),
    event: ({ title }) => sessionUpdated({ fields: ["title"], title }),
  };
  return store.changeSession(
    by,
    request(({ session }: SessionChanged) => session.title, asked),
    { ...titled, ...changes, sessionId },
  );
}

export function close(store: SessionStore, sessionId: string, asked: Asked = {}, by: Scope = scope) {
  return store.closeSession(
    by,
    request(({ session }: SessionEnded) => session.state, asked),
    { sessionId, wish: wish(), event: closed },
  );
}

export function remove(store: SessionStore, sessionId: string, asked: Asked = {}, by: Scope = scope) {
  return store.deleteSession(
    by,
    request(() => "deleted", asked),
    { sessionId, wish: wish() },
  );
}

/** The terminal events of a log: which run, and how. */
export async function endsOf(store: SessionStore, sessionId: string) {
  return decodeEvents(await readLog(store, sessionId)).flatMap(({ runId, body }) =>
    body.case === "runFinished" ? [[runId, body.value.status]] : [],
  );
}

export async function stateOf(store: SessionStore, sessionId: string): Promise<string | undefined> {
  return (await store.getSession(scope, { sessionId }))?.state;
}

/** A session that was answered and has nothing to do. */
export async function answered(store: SessionStore) {
  const { run } = await startRun(store);
  await append(store, lastBatchOf(run, 1));
  return run.sessionId;
}
