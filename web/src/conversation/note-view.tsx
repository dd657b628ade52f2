/** What happened to a run besides its output, in a line. */
import type { Note } from "../../client/fold/conversation.ts";

export function NoteView({ note }: { readonly note: Note["note"] }) {
  return <p className="note">{describe(note)}</p>;
}

function describe(note: Note["note"]): string {
  switch (note.kind) {
    case "modelSwitched":
      return `The model changed to ${note.to}${note.reason && `: ${note.reason}`}`;
    case "historyMended":
      return note.reason;
    case "toolLeftOut":
      return `The tool ${note.tool} was left out: ${note.reason}`;
    case "compacted":
      return `Older history was summarised for the model (${note.tokensBefore} to ${note.tokensAfter} tokens)`;
    case "stepDiscarded":
      return "An unfinished step was discarded and is made again";
    case "resumed":
      return `Another worker took over${note.reason && `: ${note.reason}`}`;
    case "subagentSpawned":
      return `Agent ${note.agentId} was asked: ${note.task}`;
    case "subagentFinished":
      return "The other agent answered";
  }
}
