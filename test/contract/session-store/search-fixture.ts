// What people say in the sessions of a store under test, and how it is found.
import { encodeEvent } from "../../../services/kernel/event/encode-event.ts";
import type { ListSessionsInput } from "../../../services/session/store/pages.ts";
import type { RunRow } from "../../../services/session/store/rows.ts";
import { accept, makeSession, newMessage, type StoreUnderTest, scope } from "./store-fixture.ts";

export const everything: ListSessionsInput = {
  ...{ pageSize: 100, pageToken: "", states: [], agentId: "", labels: {}, parentSessionId: "", query: "" },
  order: "created-asc",
};

export function talksIn(test: StoreUnderTest) {
  async function list(input: Partial<ListSessionsInput>, by = scope): Promise<string[]> {
    const { sessions } = await test.store.listSessions(by, { ...everything, ...input });
    return sessions.map(({ title }) => title);
  }

  const find = (query: string, by = scope): Promise<string[]> => list({ query }, by);

  async function indexAll(bound = { maxEvents: 1_000, maxBytes: 1_000_000 }): Promise<number> {
    let documents = 0;
    for (;;) {
      const done = await test.store.indexMessages(bound);
      documents += done.documents;
      if (!done.more) return documents;
    }
  }

  /** Sends words to a session. */
  async function say(sessionId: string, text: string, by = scope): Promise<void> {
    const { messageId, runId } = newMessage(sessionId);
    const content = [{ block: { case: "text" as const, value: { text } } }];
    const value = { messageId, runId, content };
    const events = () => [
      encodeEvent({ body: { case: "messageReceived", value } }),
      encodeEvent({ runId, body: { case: "runQueued", value: { messageIds: [messageId] } } }),
    ];
    await accept(test.store, sessionId, { messageId, runId, events }, by);
  }

  async function makeTalk(title: string, text: string, by = scope): Promise<string> {
    const { sessionId } = await makeSession(test.store, { title }, by);
    await say(sessionId, text, by);
    return sessionId;
  }

  const textDelta = (run: RunRow, text: string, offset = 0, step = 1) =>
    encodeEvent({
      ...{ runId: run.runId, step, attempt: 1 },
      body: { case: "textDelta", value: { blockId: `1.${step}.0`, offset: BigInt(offset), text } },
    });

  return { list, find, indexAll, say, makeTalk, textDelta };
}
