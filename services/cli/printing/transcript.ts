/**
 * A session as a Markdown document, written while its log is read.
 *
 * The fold of the client library says what a person would see (S8 with it); a turn is written when it can't change any
 * more, so that only what is not at its end yet is in memory (L7). All words of others are fenced (safe-markdown.ts).
 */

import type { ContentBlock } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus, RunStatusSchema } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { AnswerAction, ApprovalDecision, ToolOutcomeSchema } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { Session } from "../../../gen/atoll/session/v1/session_pb.ts";
import type {
  Approval,
  Conversation,
  Question,
  RunItem,
  RunTurn,
  ToolCall,
  Turn,
  UserMessage,
} from "../../../web/client/fold/conversation.ts";
import { applyEvents, createFold } from "../../../web/client/fold/fold-events.ts";
import { indentJson } from "../../../web/client/fold/show-json.ts";
import { codeSpan, cutAt, fenced, literal } from "./safe-markdown.ts";

const maxArgumentCharacters = 2_000;
const maxResultCharacters = 1_000;

/** Yields paragraphs; `pages` are the session's events from the first on. Throws FoldError, and what `pages` throws. */
export async function* writeTranscript(
  session: Pick<Session, "sessionId" | "key" | "agentId" | "title">,
  pages: AsyncIterable<readonly Event[]>,
): AsyncGenerator<string> {
  yield `# ${literal(session.title) || "Conversation"}`;
  const facts = [
    ["Session", session.sessionId],
    ["Key", session.key],
    ["Agent", session.agentId],
  ];
  yield facts.flatMap(([name, value = ""]) => (value === "" ? [] : [`- ${name}: ${codeSpan(value)}`])).join("\n");
  let conversation: Conversation = createFold();
  for await (const events of pages) {
    if (events.length === 0) continue;
    // A turn that was at its end a page ago: what a run left unread has moved on by now.
    const settled = countSettled(conversation.turns);
    conversation = applyEvents(conversation, events);
    for (const turn of conversation.turns.slice(0, settled)) yield* describeTurn(turn);
    conversation = { ...conversation, turns: conversation.turns.slice(settled) };
  }
  for (const turn of conversation.turns) yield* describeTurn(turn);
  yield `_End of the log at event ${conversation.seq}._`;
}

/** The turns through the last run that has ended, when every run before it has. */
function countSettled(turns: readonly Turn[]): number {
  const open = turns.findIndex((turn) => turn.kind === "run" && turn.state.kind !== "finished");
  const ended = open < 0 ? turns : turns.slice(0, open);
  return ended.findLastIndex((turn) => turn.kind !== "message") + 1;
}

function* describeTurn(turn: Turn): Generator<string> {
  switch (turn.kind) {
    case "message":
      yield `## Message${from(turn)}`;
      yield* contentOf(turn.content);
      return;
    case "run":
      yield `## Answer of ${codeSpan(turn.agentId) || "an agent"}${turn.model === "" ? "" : `, model ${codeSpan(turn.model)}`}`;
      for (const item of turn.items) yield* describeItem(item);
      yield `_${outcomeOf(turn)}_`;
      return;
    case "lost": {
      const how = turn.cause === "trimmed" ? "were removed by retention" : "were lost";
      yield `_Events ${turn.firstSeq}–${turn.lastSeq} ${how}${because(turn.reason)}._`;
    }
  }
}

function from({ origin, timeMs }: UserMessage): string {
  const who = codeSpan(origin?.principal ?? "");
  const when = timeMs === 0 ? "" : `, ${new Date(timeMs).toISOString()}`;
  return `${who === "" ? "" : ` from ${who}`}${when}`;
}

function* describeItem(item: RunItem): Generator<string> {
  switch (item.kind) {
    case "message":
      yield `### Message while it worked${from(item)}`;
      yield* contentOf(item.content);
      return;
    case "block":
      if (item.output === "thinking") yield `_Reasoning of ${item.text.length} characters, not shown here._`;
      else if (item.text !== "") yield fenced(item.text, "markdown");
      if (item.missing || !item.complete) yield "_This text is not whole._";
      return;
    case "call":
      yield* describeCall(item);
      return;
    case "question":
      yield "### Question";
      yield fenced(item.message, "text");
      yield* describeAnswer(item);
      return;
    case "note":
      yield `_${describeNote(item.note)}_`;
  }
}

function* describeCall({ tool, state, argumentsJson, approval }: ToolCall): Generator<string> {
  yield `### Tool ${codeSpan(tool)}`;
  yield fencedJson(argumentsJson, maxArgumentCharacters);
  if (approval !== undefined) {
    yield `_A person was asked${because(approval.reason)}_`;
    yield `_${decisionOf(approval)}._`;
  }
  if (state.kind !== "finished") {
    yield `_It has no outcome: ${state.kind}._`;
    return;
  }
  const outcome = wordsOf(ToolOutcomeSchema.value[state.outcome]?.localName);
  yield `_It ${outcome === "unknown" ? "may or may not have had its effect" : `ended as ${outcome}`} after ${state.durationMs} ms${state.truncated ? "; its answer was cut" : ""}._`;
  const text = state.content.map(textOf).join("\n");
  if (text !== "") yield fenced(cutAt(text, maxResultCharacters), "text");
  if (state.message !== "") yield fenced(cutAt(state.message, maxResultCharacters), "text");
  // A tool that answers in words too says the same twice.
  const hasWords = state.content.some(({ block }) => block.case === "text" && block.value.text !== "");
  if (state.structuredJson !== "" && !hasWords) yield fencedJson(state.structuredJson, maxResultCharacters);
}

function decisionOf({ decision, decidedBy }: Approval): string {
  switch (decision) {
    case ApprovalDecision.ALLOW_ONCE:
      return `Allowed once${by(decidedBy)}`;
    case ApprovalDecision.ALLOW_ALWAYS:
      return `Allowed always${by(decidedBy)}`;
    case ApprovalDecision.DENY:
      return `Denied${by(decidedBy)}`;
    case ApprovalDecision.EXPIRED:
      return "Nobody decided in time";
    case ApprovalDecision.UNSPECIFIED:
      return "Nobody has decided yet";
    default: // One of a newer contract (S7).
      return `Decided${by(decidedBy)}`;
  }
}

function* describeAnswer({ action, answer, isJson, answeredBy }: Question): Generator<string> {
  switch (action) {
    case AnswerAction.ACCEPT:
      yield `_Answered${by(answeredBy)}:_`;
      yield isJson ? fencedJson(answer, maxResultCharacters) : fenced(cutAt(answer, maxResultCharacters), "text");
      return;
    case AnswerAction.DECLINE:
      yield `_Declined${by(answeredBy)}._`;
      return;
    case AnswerAction.CANCEL:
      yield "_Withdrawn, or not answered in time._";
      return;
    case AnswerAction.UNSPECIFIED:
      yield "_Nobody has answered yet._";
      return;
    default: // One of a newer contract (S7).
      yield `_Ended${by(answeredBy)}._`;
  }
}

type Note = Extract<RunItem, { kind: "note" }>["note"];

function describeNote(note: Note): string {
  switch (note.kind) {
    case "modelSwitched":
      return `The model changed${note.from === "" ? "" : ` from ${codeSpan(note.from)}`} to ${codeSpan(note.to)}${because(note.reason)}`;
    case "historyMended":
      return `The conversation was mended for the model${because(note.reason)}`;
    case "toolLeftOut":
      return `The tool ${codeSpan(note.tool)} was left out${because(note.reason)}`;
    case "compacted":
      return `Older history was summarised: ${note.tokensBefore} tokens became ${note.tokensAfter}`;
    case "stepDiscarded":
      return "What this step had shown was void; it was made again";
    case "resumed":
      return `Taken up again${because(note.reason)}`;
    case "subagentSpawned":
      return `Asked ${codeSpan(note.agentId) || "an agent"} in ${codeSpan(note.sessionId)}${because(note.task)}`;
    case "subagentFinished":
      return `The run in ${codeSpan(note.sessionId)} ended as ${wordsOf(RunStatusSchema.value[note.status]?.localName)}`;
  }
}

function outcomeOf({ state }: RunTurn): string {
  switch (state.kind) {
    case "queued":
      return "It waits.";
    case "running":
      return "It is not at its end.";
    case "waiting":
      return "It waits for the model.";
    case "parked":
      return "It waits for something outside.";
    case "finished": {
      const { status, failure, cancelledBy, durationMs } = state;
      const after = durationMs === 0 ? "" : ` after ${durationMs} ms`;
      const who = status === RunStatus.CANCELLED ? by(cancelledBy) : "";
      const name = wordsOf(RunStatusSchema.value[status]?.localName);
      return `${name.charAt(0).toUpperCase()}${name.slice(1)}${who}${after}${because(failure?.message)}.`;
    }
  }
}

/** What stands behind a colon; nothing where nothing is said. */
function because(reason = ""): string {
  const said = literal(reason);
  return said === "" ? "" : `: ${said}`;
}

/** Who did it; nothing where nobody is named. */
function by(name: string): string {
  const who = codeSpan(name);
  return who === "" ? "" : ` by ${who}`;
}

function fencedJson(json: string, maxCharacters: number): string {
  return fenced(cutAt(indentJson(json || "{}"), maxCharacters), "json");
}

/** `BUDGET_EXCEEDED` as words. */
function wordsOf(name: string | undefined): string {
  return (name ?? "ended").toLowerCase().replaceAll("_", " ");
}

function* contentOf(content: readonly ContentBlock[]): Generator<string> {
  for (const block of content) yield fenced(textOf(block), "text");
}

/** Text as it is; of everything else that it is there, and what is said about it in words. */
function textOf({ block }: ContentBlock): string {
  switch (block.case) {
    case "text":
      return block.value.text;
    case "command":
      return `/${[block.value.name, ...block.value.arguments].join(" ")}`;
    case "image":
    case "audio":
    case "video":
    case "file": {
      const { media } = block.value;
      const named = [block.case, media?.fileName, media?.mediaType].filter((part) => part !== undefined && part !== "");
      return `[${named.join(" ")}]${wordsAbout(block)}`;
    }
    default:
      return `[content of the kind ${block.case ?? "unknown"}]`;
  }
}

/** What a picture shows and what is said in a recording, when somebody wrote it down. */
function wordsAbout(block: ContentBlock["block"]): string {
  if (block.case === "image" && block.value.altText !== "") return `\nDescription: ${block.value.altText}`;
  if (block.case === "audio" && block.value.transcript !== "") return `\nTranscript: ${block.value.transcript}`;
  return "";
}
