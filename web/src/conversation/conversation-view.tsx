/** One conversation: its turns, its connection, and where to write. */

import { useCallback, useEffect, useState } from "react";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import type { Conversation, RunTurn, Turn } from "../../client/fold/conversation.ts";
import { newRequestId } from "../../client/new-request-id.ts";
import { Composer } from "../composing/composer.tsx";
import type { Outgoing } from "../composing/use-send.ts";
import { explainError } from "../explain-error.ts";
import { DownIcon } from "../icons.tsx";
import type { MeshClients } from "../mesh-clients.ts";
import { PaneHeader } from "../pane-header.tsx";
import { ConnectionBadge } from "./connection-badge.tsx";
import { LostRangeView } from "./lost-range.tsx";
import { RunView } from "./run-view.tsx";
import { useConversation } from "./use-conversation.ts";
import { useStickToEnd } from "./use-stick-to-end.ts";
import { PendingMessage, UserMessageView } from "./user-message.tsx";

interface ConversationViewProps {
  readonly clients: MeshClients;
  readonly sessionId: string;
  readonly title: string | undefined;
  readonly outgoing: Outgoing;
  readonly onSend: (text: string) => void;
  readonly onShowList: () => void;
  readonly onFirstWords: (sessionId: string, text: string) => void;
}

export function ConversationView(props: ConversationViewProps) {
  const { clients, sessionId, outgoing, onSend, onFirstWords } = props;
  const { conversation, connection, problem, retry } = useConversation(clients, sessionId);
  const { stop, stopProblem } = useStop(clients, conversation);
  const pending = pendingText(outgoing, conversation);
  const { scroller, isAtEnd, goToEnd } = useStickToEnd();

  const firstWords = firstWordsOf(conversation);
  useEffect(() => {
    if (firstWords !== "") onFirstWords(sessionId, firstWords);
  }, [sessionId, firstWords, onFirstWords]);

  return (
    <main className="pane">
      <PaneHeader title={conversation?.title || props.title || "Conversation"} onShowList={props.onShowList}>
        <ConnectionBadge state={connection} />
      </PaneHeader>
      <div className="scroll" ref={scroller}>
        <div className="column" role="log" aria-live="polite" aria-label="Conversation" aria-busy={stop !== undefined}>
          {conversation?.turns.map((turn) => (
            <TurnView key={keyOf(turn)} turn={turn} />
          ))}
          {pending !== "" && <PendingMessage text={pending} />}
          {conversation === undefined && problem === "" && <p className="loading">Opening the conversation…</p>}
          {problem !== "" && (
            <div className="problem" role="alert">
              {problem}{" "}
              <button type="button" className="quiet" onClick={retry}>
                Try again
              </button>
            </div>
          )}
          {stopProblem !== "" && (
            <p className="problem" role="alert">
              Not stopped: {stopProblem}
            </p>
          )}
        </div>
      </div>
      {!isAtEnd && (
        <button type="button" className="to-end" aria-label="Go to the end" onClick={goToEnd}>
          <DownIcon />
        </button>
      )}
      <Composer
        conversation={sessionId}
        outgoing={outgoing}
        onSend={onSend}
        isClosed={conversation?.sessionState === SessionState.CLOSED}
        stop={stop}
      />
    </main>
  );
}

function TurnView({ turn }: { readonly turn: Turn }) {
  switch (turn.kind) {
    case "message":
      return <UserMessageView message={turn} />;
    case "run":
      return <RunView run={turn} />;
    case "lost":
      return <LostRangeView range={turn} />;
  }
}

function keyOf(turn: Turn): string {
  switch (turn.kind) {
    case "message":
      return turn.messageId;
    case "run":
      return turn.runId;
    case "lost":
      return `lost ${turn.firstSeq}`;
  }
}

/** Stops the run that is active, or else the first that waits. */
function useStop(clients: MeshClients, conversation: Conversation | undefined) {
  const [asked, setAsked] = useState({ runId: "", problem: "" });
  const run = unfinishedRun(conversation);
  const runId = run?.runId;
  const onStop = useCallback(() => {
    if (runId === undefined) return;
    setAsked({ runId, problem: "" });
    const request = { requestId: newRequestId(), runId, reason: "stopped on the web page" };
    clients.gateway.cancelRun(request, { timeoutMs: 10_000 }).catch((error: unknown) => {
      setAsked({ runId: "", problem: explainError(error) });
    });
  }, [clients, runId]);
  const stop = run && { isStopping: asked.runId === run.runId, onStop };
  return { stop, stopProblem: run ? asked.problem : "" };
}

function unfinishedRun(conversation: Conversation | undefined): RunTurn | undefined {
  return conversation?.turns.find((turn) => turn.kind === "run" && turn.state.kind !== "finished") as
    | RunTurn
    | undefined;
}

/** What this session has accepted and its log, as it is shown, has not yet. */
function pendingText(outgoing: Outgoing, conversation: Conversation | undefined): string {
  if (outgoing.kind !== "accepted") return "";
  const isThere = conversation?.turns.some((turn) =>
    turn.kind === "run"
      ? turn.items.some((item) => item.kind === "message" && item.messageId === outgoing.messageId)
      : turn.kind === "message" && turn.messageId === outgoing.messageId,
  );
  return isThere ? "" : outgoing.text;
}

function firstWordsOf(conversation: Conversation | undefined): string {
  const message = conversation?.turns.find((turn) => turn.kind === "message");
  const texts = message?.content.map(({ block }) => (block.case === "text" ? block.value.text : ""));
  return texts?.join(" ") ?? "";
}
