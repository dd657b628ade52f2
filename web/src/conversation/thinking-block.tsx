/** The model's reasoning, folded away until somebody wants it. */
import type { OutputBlock } from "../../client/fold/conversation.ts";
import { ChevronIcon, ThoughtIcon } from "../icons.tsx";

export function ThinkingBlock({ block, isStreaming }: { readonly block: OutputBlock; readonly isStreaming: boolean }) {
  if (block.redacted) return <p className="note">The model's maker withheld the reasoning.</p>;
  return (
    <details className="thinking">
      <summary>
        <ThoughtIcon />
        <span className={isStreaming ? "shimmer" : undefined}>{isStreaming ? "Thinking…" : "Thought"}</span>
        <ChevronIcon />
      </summary>
      <p className="plain" dir="auto">
        {block.text}
      </p>
    </details>
  );
}
