/** The conversation that every client holds, over each kind of RPC that it has. */

import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import { type ChatResponse, ChatResponseSchema } from "../../gen/atoll/gateway/v1/chat_pb.ts";
import { SendMessageResponseSchema } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { reasonName } from "../../services/kernel/errors.ts";
import type { ChatStream, InteropClient } from "./interop-client.ts";
import { readEvents } from "./same-events.ts";

/** Makes the scripted model list the folder and read the file, through a real MCP server. */
export const question = "which files are in the workspace, and what does notes.md say?";

export interface Conversation {
  readonly sessionId: string;
  /** In the order in which they were said. */
  readonly runIds: readonly string[];
  readonly events: readonly Event[];
}

export function textMessage(text: string): JsonObject {
  return { content: [{ text: { text } }] };
}

/** A unary call for the message, a server stream for the answer. */
export async function converseUnary(client: InteropClient, sessionKey: string, text: string): Promise<Conversation> {
  const request = { requestId: crypto.randomUUID(), sessionKey, message: textMessage(text) };
  const { sessionId, runId } = fromJson(SendMessageResponseSchema, await client.sendMessage(request));
  const responses = await client.subscribe({ sessionId, untilRunId: runId });
  return { sessionId, runIds: [runId], events: readEvents(responses) };
}

export interface ChatPlan {
  readonly sessionKey: string;
  /** Said one after another, each when the answer to the one before is whole. */
  readonly say: readonly string[];
  /** Listen until so many runs of the session have ended. Default: as many as were said. */
  readonly untilRuns?: number;
}

/** Everything on one stream, which the client closes in order when it has heard enough. */
export async function converseInChat(
  client: InteropClient,
  { sessionKey, say, untilRuns }: ChatPlan,
): Promise<Conversation> {
  if (client.chat === undefined) throw new Error(`${client.name} can't stream both ways`);
  const stream = client.chat();
  const toSay = [...say];
  const runIds: string[] = [];
  const events: Event[] = [];
  const until = untilRuns ?? say.length;
  let sessionId = "";
  let runsEnded = 0;
  const sayNext = (): void => {
    const text = toSay.shift();
    if (text !== undefined)
      stream.write({ requestId: crypto.randomUUID(), send: { sessionId, message: textMessage(text) } });
  };
  // A key that is new makes a session, so the id of this frame must be a new one too (R1).
  stream.write({ requestId: crypto.randomUUID(), open: { sessionKey } });
  for await (const { frame, requestId } of readFrames(stream)) {
    switch (frame.case) {
      case "opened":
        sessionId = frame.value.sessionId;
        sayNext();
        break;
      case "accepted":
        // `close` is answered under its own id, and then the stream ends.
        if (requestId !== "close") runIds.push(frame.value.runId);
        break;
      case "events":
        for (const event of frame.value.events) {
          if (runsEnded >= until) break;
          events.push(event);
          if (event.body.case !== "runFinished") continue;
          runsEnded += 1;
          if (runIds.includes(event.runId)) sayNext();
        }
        if (runsEnded >= until) leave(stream, sessionId);
        break;
      case "error":
        throw new Error(
          `${client.name}: ${requestId} was refused: ${reasonName(frame.value.reason)}: ${frame.value.message}`,
        );
      case "progress":
      case undefined:
        break;
    }
  }
  return { sessionId, runIds, events };
}

function leave(stream: ChatStream, sessionId: string): void {
  stream.write({ requestId: "close", close: { sessionId } });
  stream.end();
}

export async function* readFrames(stream: ChatStream): AsyncGenerator<ChatResponse> {
  for await (const response of stream.responses) yield fromJson(ChatResponseSchema, response);
}

/** The text of a run's answer: its text deltas in order. */
export function answerOf(events: readonly Event[], runId: string): string {
  return events
    .filter((event) => event.runId === runId)
    .map(({ body }) => (body.case === "textDelta" ? body.value.text : ""))
    .join("");
}

/** The kinds of a run's bodies, in order, each once. */
export function kindsOf(events: readonly Event[], runId: string): readonly string[] {
  return [...new Set(events.filter((event) => event.runId === runId).map(({ body }) => body.case ?? "unknown"))];
}
