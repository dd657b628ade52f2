/** An event in words for a person; its text is that of others and goes through the door of output.ts. */
import type { ContentBlock } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus, RunStatusSchema } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome, ToolOutcomeSchema } from "../../../gen/atoll/event/v1/tool_events_pb.ts";

const maxResultCharacters = 200;

/** Call id → tool, of the calls that have no outcome yet. */
export type OpenCalls = Map<string, string>;

/** Undefined for what only programs need. Deltas of text are not described here: they are the text itself. */
export function describeEvent({ body }: Event, calls: OpenCalls): string | undefined {
  switch (body.case) {
    case "messageReceived":
      return `> ${body.value.content.map(textOf).join(" ")}`;
    case "runQueued":
      return body.value.position === 0 ? undefined : `(waits: ${runs(body.value.position)} of this session before it)`;
    case "toolCallProposed":
      calls.set(body.value.callId, body.value.tool);
      return `→ ${body.value.tool} ${body.value.argumentsJson || "{}"}`;
    case "toolCallFinished": {
      const { callId, outcome, content, message } = body.value;
      const shown = [...content.map(textOf), message].join(" ").replace(/\s+/g, " ").trim();
      const mark = outcome === ToolOutcome.SUCCEEDED ? "←" : `✗ ${ToolOutcomeSchema.value[outcome]?.localName ?? ""}`;
      const tool = calls.get(callId) ?? callId;
      calls.delete(callId);
      return `${mark} ${tool} ${cut(shown)}`.trimEnd();
    }
    case "stepDiscarded":
      return "(what this step had shown is void; it is made again)";
    case "modelWaiting": {
      const { waitMs, retry, of, reason } = body.value;
      const seconds = Math.ceil(Number(waitMs) / 1_000);
      return `(waiting for the model, ${seconds} s; retry ${retry} of ${of}: ${reason})`;
    }
    case "historyMended":
      return `(${body.value.reason})`;
    case "toolLeftOut":
      return `(the tool ${body.value.tool} was left out: ${body.value.reason})`;
    case "runResumed":
      return body.value.reason === "" ? "(taken up again)" : `(taken up again: ${body.value.reason})`;
    case "runFinished": {
      const { status, failure } = body.value;
      // Calls of a step that was discarded have no outcome.
      calls.clear();
      if (status === RunStatus.COMPLETED) return undefined;
      const name = RunStatusSchema.value[status]?.localName.toLowerCase() ?? "ended";
      return failure === undefined ? `(${name})` : `(${name}: ${failure.message})`;
    }
    case "historyTrimmed":
      return `(the first ${body.value.count} events of this log are gone: retention removed them)`;
    case "logTruncated":
      return `(events of this log are gone: ${body.value.reason})`;
    default:
      return undefined;
  }
}

function textOf({ block }: ContentBlock): string {
  return block.case === "text" ? block.value.text : `[${block.case}]`;
}

function cut(text: string): string {
  return text.length > maxResultCharacters ? `${text.slice(0, maxResultCharacters)} …` : text;
}

function runs(count: number): string {
  return count === 1 ? "one run" : `${count} runs`;
}
