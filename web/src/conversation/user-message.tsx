/** What the person said. */
import { memo } from "react";
import type { UserMessage } from "../../client/fold/conversation.ts";
import { ContentBlocks } from "./content-blocks.tsx";

export const UserMessageView = memo(function UserMessageView({ message }: { readonly message: UserMessage }) {
  const from = message.origin?.displayName;
  const time = message.timeMs === 0 ? undefined : new Date(message.timeMs);
  return (
    <article className="user-message" aria-label="You said" title={time?.toLocaleString()}>
      {from && <span className="from">{from}</span>}
      <ContentBlocks content={message.content} />
    </article>
  );
});

/** A message that was accepted and that the log has not brought yet. */
export function PendingMessage({ text }: { readonly text: string }) {
  return (
    <article className="user-message pending" aria-label="You said">
      <p className="plain" dir="auto">
        {text}
      </p>
    </article>
  );
}
