/**
 * AgentService.Run: the same loop for other backends. History in, events out; nothing is stored here.
 *
 * Keeps S1: the events are numbered from 1, with no gap. Keeps L7: a caller that does not read makes the loop wait.
 */
import { create, fromBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RunRequest,
  type RunResponse,
  RunResponseSchema,
  type RunStart,
} from "../../../gen/atoll/agent/v1/agent_service_pb.ts";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { encodeEventTime, stampEvent } from "../../kernel/event/wire/stamp-event.ts";
import { newId } from "../../kernel/id.ts";
import { onward, principalOf, traceIdOf } from "../../kernel/rpc/call-context.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { ConversationFold } from "../memory/conversation-fold.ts";
import type { WorkingConversation } from "../memory/working-conversation.ts";
import type { ToolList } from "../tools/tool-list.ts";
import { type EventOutlet, EventWriter } from "./event-writer.ts";
import { readStart } from "./read-start.ts";
import { RunCancelled } from "./run-ending.ts";
import { runLoop } from "./run-loop.ts";
import { splitEvents } from "./split-events.ts";
import { Steering } from "./steering.ts";

const maxWaitingBatches = 64;

export async function* runAlone(
  deps: AgentDeps,
  tools: ToolList,
  requests: AsyncIterable<RunRequest>,
  context: HandlerContext,
): AsyncGenerator<RunResponse> {
  const input = requests[Symbol.asyncIterator]();
  const { start, history } = await readStart(input);
  const agentId = start.agentId || deps.defaultAgent;
  const agent = deps.agents.get(agentId);
  if (agent === undefined) {
    throw failure(ErrorReason.AGENT_NOT_FOUND, `no such agent: ${agentId}`, { metadata: { agent_id: agentId } });
  }
  const runId = newId("run", deps.clock);
  const queue = new FrameQueue<readonly Uint8Array[]>(maxWaitingBatches);
  const control = new AbortController();
  const cancel = (): void => control.abort(new RunCancelled(principalOf(context).name));
  // The caller is the only reader: when it goes, nobody is left to run for.
  context.signal.addEventListener("abort", cancel, { once: true });
  void readCommands(input, cancel, queue);
  const writer = new EventWriter({
    outlet: queueOutlet(queue),
    runId,
    attempt: 1,
    clock: deps.clock,
    deltaWindowMs: deps.deltaWindowMs,
  });
  const steering = new Steering();
  const traceId = traceIdOf(context);
  const conversation = begin(start, history, runId, agent.historyMessages + 1);
  // The run's own signal is the loop's: a cancelled tool call still has an outcome to tell.
  const { contextValues } = onward(context);
  const ended = runLoop(
    {
      deps,
      tools,
      agent,
      options: start.options,
      runId,
      sessionId: "",
      epoch: 0,
      traceId,
      writer,
      steering,
      signal: control.signal,
      call: contextValues === undefined ? {} : { contextValues },
      toolsKey: principalOf(context).name,
    },
    conversation,
  ).then(
    () => queue.end(),
    (error: unknown) => queue.end(error),
  );
  let seq = 0;
  try {
    for await (const events of queue) {
      const time = encodeEventTime(deps.clock.nowMs());
      for (const those of splitEvents(events)) {
        const stamped = those.map((event) => {
          seq += 1;
          return fromBinary(EventSchema, stampEvent(event, seq, seq, time));
        });
        yield create(RunResponseSchema, { events: stamped });
      }
    }
  } finally {
    context.signal.removeEventListener("abort", cancel);
    cancel();
    await ended;
  }
}

function queueOutlet(queue: FrameQueue<readonly Uint8Array[]>): EventOutlet {
  let last: Promise<boolean> = Promise.resolve(true);
  return {
    // One after the other: a batch that found room must not overtake one that waits for it.
    deliver: (events) => {
      last = last.then(() => queue.push(events));
    },
    ready: async () => void (await last),
    durable: async () => void (await last),
  };
}

async function readCommands(
  input: AsyncIterator<RunRequest>,
  cancel: () => void,
  queue: FrameQueue<readonly Uint8Array[]>,
): Promise<void> {
  try {
    for (let next = await input.next(); next.done !== true; next = await input.next()) {
      const { frame } = next.value;
      if (frame.case === "cancel") cancel();
      else if (frame.case === "start" || frame.case === "history") {
        const problem = `${frame.case} can't come after start`;
        throw failure(ErrorReason.FIELD_INVALID, `frame: ${problem}`, { fields: [{ path: "frame", problem }] });
      } else
        throw failure(
          ErrorReason.METHOD_NOT_SERVED,
          `${frame.case}: this build of the mesh does not serve this frame`,
          { metadata: { method: "atoll.agent.v1.AgentService/Run" } },
        );
    }
  } catch (error) {
    queue.end(error);
  }
}

/** The history as a log would tell it, then this run's message. */
function begin(start: RunStart, history: readonly Event[], runId: string, maxRuns: number): WorkingConversation {
  const fold = new ConversationFold(maxRuns);
  for (const event of history) fold.applyEvent(event);
  fold.apply(
    encodeEvent({ body: { case: "messageReceived", value: { runId, content: start.message?.content ?? [] } } }),
  );
  fold.apply(encodeEvent({ runId, attempt: 1, body: { case: "runStarted", value: {} } }));
  const conversation = fold.workOn(runId);
  if (conversation === undefined) throw new Error("a run that was just started is not in its conversation");
  return conversation;
}
