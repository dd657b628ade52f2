/** The conversations at the left. */

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import type { Session } from "../../../gen/atoll/session/v1/session_pb.ts";
import { AtollMark, CloseIcon, PlusIcon } from "../icons.tsx";
import type { MeshClients } from "../mesh-clients.ts";
import { relativeTime } from "../relative-time.ts";
import { ToolsButton } from "../tools-dialog.tsx";
import type { SessionsState } from "./use-sessions.ts";

interface SessionListProps {
  readonly clients: MeshClients;
  readonly state: SessionsState;
  readonly openId: string | undefined;
  /** What the page knows of a session that has no title yet. */
  readonly firstWords: ReadonlyMap<string, string>;
  readonly onOpen: (sessionId: string | undefined) => void;
  readonly onClose: () => void;
}

export function SessionList({ clients, state, openId, firstWords, onOpen, onClose }: SessionListProps) {
  return (
    <nav className="sidebar" aria-label="Conversations">
      <div className="sidebar-head">
        <AtollMark />
        <span className="brand">Atoll</span>
        <button type="button" className="icon-button only-narrow" aria-label="Close the list" onClick={onClose}>
          <CloseIcon />
        </button>
      </div>
      <button type="button" className="new-conversation" onClick={() => onOpen(undefined)}>
        <PlusIcon /> New conversation
      </button>
      <div className="sessions">
        {state.kind === "failed" && <p className="sidebar-note">{state.problem}</p>}
        {state.kind === "loaded" && state.sessions.length === 0 && (
          <p className="sidebar-note">Your conversations will be listed here.</p>
        )}
        {state.kind === "loaded" && (
          <ul>
            {state.sessions.map((session) => (
              <li key={session.sessionId}>
                <button
                  type="button"
                  className="session"
                  aria-current={session.sessionId === openId ? "page" : undefined}
                  onClick={() => onOpen(session.sessionId)}
                >
                  <span className="session-title" dir="auto">
                    {titleOf(session, firstWords)}
                  </span>
                  <SessionMeta session={session} />
                </button>
              </li>
            ))}
          </ul>
        )}
        {state.kind === "loaded" && state.more && (
          <p className="sidebar-note">Older conversations: npx --no atoll sessions</p>
        )}
      </div>
      <ToolsButton clients={clients} />
    </nav>
  );
}

function SessionMeta({ session }: { readonly session: Session }) {
  const isBusy = session.activeRunId !== "";
  const changedAt = session.lastMessageAt ?? session.updatedAt ?? session.createdAt;
  return (
    <span className="session-meta">
      {isBusy && <span className="dot busy" />}
      {stateText(session)}
      {changedAt && <time>{relativeTime(timestampMs(changedAt))}</time>}
    </span>
  );
}

function titleOf(session: Session, firstWords: ReadonlyMap<string, string>): string {
  return session.title || firstWords.get(session.sessionId) || session.key || "Untitled conversation";
}

function stateText({ activeRunId, queuedRuns, state, messageCount }: Session): string {
  if (activeRunId !== "") return queuedRuns > 0 ? `Working, ${queuedRuns} waiting` : "Working";
  if (state === SessionState.CLOSED) return "Closed";
  if (state === SessionState.CREATED || messageCount === 0) return "Empty";
  return messageCount === 1 ? "1 message" : `${messageCount} messages`;
}
