/** What stands at the right before the first message. */

import { AtollMark } from "../icons.tsx";
import { PaneHeader } from "../pane-header.tsx";
import { Composer } from "./composer.tsx";
import type { Outgoing } from "./use-send.ts";

const suggestions = [
  "Which files are in the workspace, and what does notes.md say?",
  "What can you do here?",
  "Explain in three sentences what an atoll is.",
];

interface NewConversationProps {
  readonly outgoing: Outgoing;
  readonly onSend: (text: string) => void;
  readonly onShowList: () => void;
}

export function NewConversation({ outgoing, onSend, onShowList }: NewConversationProps) {
  return (
    <main className="pane">
      <PaneHeader title="New conversation" onShowList={onShowList} />
      <div className="scroll">
        <div className="welcome">
          <AtollMark size={64} />
          <h2>What shall we look into?</h2>
          <p>
            Answers stream in as they are made, tools included. You can close this page at any time: nothing is lost.
          </p>
          <ul className="suggestions">
            {suggestions.map((text) => (
              <li key={text}>
                <button type="button" onClick={() => onSend(text)}>
                  {text}
                </button>
              </li>
            ))}
          </ul>
        </div>
      </div>
      <Composer conversation="" outgoing={outgoing} onSend={onSend} isClosed={false} stop={undefined} />
    </main>
  );
}
