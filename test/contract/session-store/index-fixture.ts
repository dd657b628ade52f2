// Changes of sessions that the index feed tells of, with their usual values.
import type { SessionStore } from "../../../services/session/store/session-store.ts";
import { request, scope, wish } from "./store-fixture.ts";

const unfiltered = { states: [], agentId: "", labels: {}, parentSessionId: "", query: "" } as const;

export const whole = { ...unfiltered, pageSize: 500, pageToken: "", order: "created-asc" } as const;

export const updated = new Uint8Array([0xb2, 0x02, 0x00]);

export const remove = (store: SessionStore, sessionId: string, by = scope) =>
  store.deleteSession(
    by,
    request(() => ""),
    { sessionId, wish: wish() },
  );

export const close = (store: SessionStore, sessionId: string, by = scope) =>
  store.closeSession(
    by,
    request(() => ""),
    { sessionId, wish: wish(), event: () => updated },
  );

export const rename = (store: SessionStore, sessionId: string, title: string, by = scope) =>
  store.changeSession(
    by,
    request(() => ""),
    { sessionId, ifHeadSeq: undefined, change: () => ({ title }), event: () => updated },
  );
