/** A run: the agent's thoughts, tool calls and answer, and how it stands. */
import { memo } from "react";
import type { OutputBlock, RunItem, RunTurn } from "../../client/fold/conversation.ts";
import { Markdown } from "../markdown/markdown.tsx";
import { NoteView } from "./note-view.tsx";
import { RunStateLine } from "./run-state-line.tsx";
import { ThinkingBlock } from "./thinking-block.tsx";
import { ToolCard } from "./tool-card.tsx";
import { UserMessageView } from "./user-message.tsx";

export const RunView = memo(function RunView({ run }: { readonly run: RunTurn }) {
  const isOver = run.state.kind === "finished";
  return (
    <section className="run" aria-label="Answer">
      {run.items.map((item) => (
        <Item key={keyOf(item)} item={item} isOver={isOver} />
      ))}
      <RunStateLine run={run} />
    </section>
  );
});

const Item = memo(function Item({ item, isOver }: { readonly item: RunItem; readonly isOver: boolean }) {
  switch (item.kind) {
    case "message":
      return <UserMessageView message={item} />;
    case "block":
      return <Output block={item} isOver={isOver} />;
    case "call":
      return <ToolCard call={item} isOver={isOver} />;
    case "question":
      return <p className="note">The agent asks: {item.message}</p>;
    case "note":
      return <NoteView note={item.note} />;
  }
});

function Output({ block, isOver }: { readonly block: OutputBlock; readonly isOver: boolean }) {
  const isStreaming = !block.complete && !isOver;
  if (block.output === "thinking") return <ThinkingBlock block={block} isStreaming={isStreaming} />;
  return (
    <div className={isStreaming ? "answer streaming" : "answer"}>
      <Markdown text={block.text} />
    </div>
  );
}

function keyOf(item: RunItem): string {
  switch (item.kind) {
    case "message":
      return item.messageId;
    case "block":
      return item.blockId;
    case "call":
      return item.callId;
    case "question":
      return item.questionId;
    case "note":
      return `note ${item.seq}`;
  }
}
