/** A client of a running mesh, and the few questions that every end-to-end test asks. */
import { randomUUID } from "node:crypto";
import { type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { expect } from "vitest";
import { AdminService } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import { AgentService } from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { type Event, EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import type { RunFinished } from "../../gen/atoll/event/v1/run_events_pb.ts";
import {
  GatewayService,
  type SendMessageRequestSchema,
  type SendMessageResponse,
} from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { failureFacts, reasonName } from "../../services/kernel/errors.ts";
import type { Conversation, RunTurn } from "../../web/client/fold/conversation.ts";
import { applyEvents, createFold } from "../../web/client/fold/fold-events.ts";

export interface MeshClient {
  readonly gateway: Client<typeof GatewayService>;
  readonly session: Client<typeof SessionService>;
  readonly agent: Client<typeof AgentService>;
  readonly tools: Client<typeof ToolRouterService>;
  readonly admin: Client<typeof AdminService>;
}

export function clientOver(transport: Transport): MeshClient {
  return {
    gateway: createClient(GatewayService, transport),
    session: createClient(SessionService, transport),
    agent: createClient(AgentService, transport),
    tools: createClient(ToolRouterService, transport),
    admin: createClient(AdminService, transport),
  };
}

type SendInit = Exclude<MessageInitShape<typeof SendMessageRequestSchema>, { $typeName: string }>;

/** The content of a message of plain text. */
export function textMessage(text: string) {
  return { content: [{ block: { case: "text" as const, value: { text } } }] };
}

/** Sends a message under a fresh request id, or the one of `more`. */
export function say({ gateway }: MeshClient, text: string, more: SendInit = {}): Promise<SendMessageResponse> {
  return gateway.sendMessage({ requestId: randomUUID(), message: textMessage(text), ...more });
}

/** Says which session a message is for. */
export function inSession(sessionId: string) {
  return { session: { case: "sessionId" as const, value: sessionId } };
}

/** The whole log, page after page. */
export async function readLog({ session }: MeshClient, sessionId: string): Promise<Event[]> {
  const events: Event[] = [];
  let pageToken = "";
  do {
    const page = await session.listEvents({ sessionId, pageToken, pageSize: 500 });
    events.push(...page.events);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return events;
}

/** Subscribes and reads until the run has ended. */
export async function readUntilEnd(
  { gateway }: MeshClient,
  {
    sessionId,
    runId,
    afterSeq = 0n,
  }: { readonly sessionId: string; readonly runId: string; readonly afterSeq?: bigint },
): Promise<Event[]> {
  const events: Event[] = [];
  for await (const response of gateway.subscribe({ sessionId, afterSeq, untilRunId: runId }))
    events.push(...response.events);
  return events;
}

/** Reads a subscription until an event satisfies `isEnough`. Throws when the stream ends before. */
export async function readUntil(
  { gateway }: MeshClient,
  sessionId: string,
  isEnough: (event: Event) => boolean,
  afterSeq = 0n,
): Promise<Event[]> {
  const control = new AbortController();
  const events: Event[] = [];
  for await (const response of gateway.subscribe({ sessionId, afterSeq }, { signal: control.signal })) {
    for (const event of response.events) {
      events.push(event);
      if (!isEnough(event)) continue;
      control.abort();
      return events;
    }
  }
  throw new Error(`the stream ended after ${events.length} events`);
}

/** Whether the event is a piece of the model's answer in a run. */
export function isTextOf(runId: string): (event: Event) => boolean {
  return (event) => event.runId === runId && event.body.case === "textDelta";
}

/** S1: each event begins where the last one ended, the first one after `afterSeq`. */
export function expectDense(events: readonly Event[], afterSeq = 0n): void {
  let seq = afterSeq;
  for (const event of events) {
    if (event.firstSeq !== seq + 1n || event.seq < event.firstSeq) {
      expect.fail(`after ${seq} came an event for ${event.firstSeq}..${event.seq} (${event.body.case})`);
    }
    seq = event.seq;
  }
}

/** The events as the bytes that they are, so that two readers can be compared to the last bit. */
export function bytesOf(events: readonly Event[]): string[] {
  return events.map((event) => Buffer.from(toBinary(EventSchema, event)).toString("base64"));
}

/** The kinds of the bodies, in order; repeated neighbours once. */
export function kindsOf(events: readonly Event[]): string[] {
  const kinds = events.map(({ body }) => body.case ?? "");
  return kinds.filter((kind, index) => kind !== kinds[index - 1]);
}

/** The terminal events of a run. R2 says that there is one. */
export function endsOf(events: readonly Event[], runId: string): RunFinished[] {
  return events.flatMap(({ body, runId: of }) => (body.case === "runFinished" && of === runId ? [body.value] : []));
}

/** The conversation that the events make; throws where they break an invariant, checksums included. */
export function fold(events: readonly Event[]): Conversation {
  return applyEvents(createFold(), events);
}

/** One run of a conversation. */
export function runOf(conversation: Conversation, runId: string): RunTurn {
  const run = conversation.turns.find((turn) => turn.kind === "run" && turn.runId === runId);
  if (run?.kind !== "run") throw new Error(`the conversation has no run ${runId}`);
  return run;
}

/** What the model said in a run. */
export function answerOf(conversation: Conversation, runId: string): string {
  return runOf(conversation, runId)
    .items.flatMap((item) => (item.kind === "block" ? [item.text] : []))
    .join("");
}

export interface Refusal {
  readonly code: string;
  readonly reason: string;
  readonly fields: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly message: string;
}

/** How a call is refused. Fails when it is not. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call;
  } catch (error) {
    return factsOf(error);
  }
  return expect.fail("the call was not refused");
}

/** The facts of an error that came over the wire. */
export function factsOf(error: unknown): Refusal {
  const known = ConnectError.from(error);
  const { reason, fields, metadata } = failureFacts(known);
  return {
    code: Code[known.code],
    reason: reason === undefined ? "" : reasonName(reason),
    fields: fields.map(({ path }) => path),
    metadata,
    message: known.rawMessage,
  };
}

/** Asks again and again, for at most 20 s, until there is an answer. */
export async function eventually<T>(what: string, ask: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const untilMs = performance.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > untilMs) throw new Error(`not in 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
