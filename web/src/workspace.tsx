/** The signed-in page: conversations at the left, one of them at the right. */
import { useCallback, useMemo, useState } from "react";
import { NewConversation } from "./composing/new-conversation.tsx";
import { outgoingTo, useSend } from "./composing/use-send.ts";
import { ConversationView } from "./conversation/conversation-view.tsx";
import type { MeshClients } from "./mesh-clients.ts";
import { SessionList } from "./sessions/session-list.tsx";
import { useSessions } from "./sessions/use-sessions.ts";
import { useRoute } from "./use-route.ts";

/** How much of a first message stands in for a title. */
const firstWordsLength = 80;

export function Workspace({ clients }: { readonly clients: MeshClients }) {
  const { sessionId, open, openIfNew } = useRoute();
  const { state, refresh } = useSessions(clients);
  const [isListOpen, setIsListOpen] = useState(false);
  const [firstWords, setFirstWords] = useState<ReadonlyMap<string, string>>(new Map());

  const onAccepted = useCallback(
    (accepted: string, isNew: boolean) => {
      if (isNew) openIfNew(accepted);
      refresh();
    },
    [openIfNew, refresh],
  );
  const sending = useSend(clients, onAccepted);
  const { send } = sending;
  // The same object for as long as nothing changes: the composer gives text back when it changes.
  const outgoing = useMemo(() => outgoingTo(sending.outgoing, sessionId ?? ""), [sending.outgoing, sessionId]);

  const openFromList = (next: string | undefined) => {
    setIsListOpen(false);
    open(next);
  };
  const rememberFirstWords = useCallback((id: string, text: string) => {
    const words = text.replaceAll(/\s+/g, " ").trim().slice(0, firstWordsLength);
    setFirstWords((before) => (before.get(id) === words ? before : new Map(before).set(id, words)));
  }, []);

  const listed =
    state.kind === "loaded" ? state.sessions.find((session) => session.sessionId === sessionId) : undefined;
  const title = listed?.title || (sessionId === undefined ? undefined : firstWords.get(sessionId));
  const showList = () => setIsListOpen(true);

  return (
    <div className="workspace" data-list-open={isListOpen}>
      <SessionList
        clients={clients}
        state={state}
        openId={sessionId}
        firstWords={firstWords}
        onOpen={openFromList}
        onClose={() => setIsListOpen(false)}
      />
      <button
        type="button"
        className="scrim"
        aria-label="Close the list"
        tabIndex={isListOpen ? 0 : -1}
        onClick={() => setIsListOpen(false)}
      />
      {sessionId === undefined ? (
        <NewConversation outgoing={outgoing} onSend={(text) => void send(text, undefined)} onShowList={showList} />
      ) : (
        <ConversationView
          key={sessionId}
          clients={clients}
          sessionId={sessionId}
          title={title}
          outgoing={outgoing}
          onSend={(text) => void send(text, sessionId)}
          onShowList={showList}
          onFirstWords={rememberFirstWords}
        />
      )}
    </div>
  );
}
