/** An event as the histories keep it. */
import { createHash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { reasonName } from "../../../services/kernel/errors.ts";
import type { AppliedEvent } from "../history.ts";

export function describeEvent(event: Event): AppliedEvent {
  const { body } = event;
  const place = {
    first: Number(event.firstSeq),
    seq: Number(event.seq),
    body: body.case ?? "unknown",
    run: event.runId,
    attempt: event.attempt,
    step: event.step,
  };
  if (body.case === "textDelta" || body.case === "thinkingDelta") {
    const { blockId, offset, text } = body.value;
    return { ...place, block: blockId, offset: Number(offset), text };
  }
  const said = toBinary(EventSchema, { ...event, firstSeq: 0n, seq: 0n });
  const digest = createHash("sha256").update(said).digest("base64url").slice(0, 16);
  if (body.case === "blockCompleted") return { ...place, block: body.value.blockId, digest };
  if (body.case === "messageReceived") {
    const { messageId, runId, content } = body.value;
    const words = content.map(({ block }) => (block.case === "text" ? block.value.text : "")).join("");
    return { ...place, run: runId, messages: [messageId], mark: words.split(" ")[0] ?? "", digest };
  }
  if (body.case === "runStarted" || body.case === "runResumed") {
    const wallMs = event.time === undefined ? 0 : timestampMs(event.time);
    return { ...place, worker: body.value.workerId, wallMs, digest };
  }
  if (body.case === "stepStarted") return { ...place, messages: body.value.messageIds, digest };
  if (body.case === "stepDiscarded") return { ...place, discarded: body.value.step, digest };
  if (body.case === "runFinished") {
    const { status, failure } = body.value;
    const failed = failure === undefined ? "" : `${reasonName(failure.reason)}: ${failure.message}`;
    return { ...place, completed: status === RunStatus.COMPLETED, ...(failed === "" ? {} : { failed }), digest };
  }
  if (body.case === "runQueued") return { ...place, messages: body.value.messageIds, digest };
  if (body.case === "toolCallProposed") {
    const { callId, tool, argumentsJson } = body.value;
    const { text } = JSON.parse(argumentsJson) as { readonly text?: unknown };
    return { ...place, call: callId, tool, argument: typeof text === "string" ? text : "", digest };
  }
  if (body.case === "toolCallStarted") return { ...place, call: body.value.callId, digest };
  if (body.case === "toolCallFinished") {
    const { callId, outcome } = body.value;
    return { ...place, call: callId, succeeded: outcome === ToolOutcome.SUCCEEDED, digest };
  }
  return { ...place, digest };
}
