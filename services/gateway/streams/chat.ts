/**
 * Chat: one stream for everything. Frames are answered under their request id; a frame that is refused ends nothing.
 *
 * Keeps S1 and S2 for every open session. Keeps L7: open sessions, frames at work and answers on their way are bounded;
 * frames are taken up in order, and a client that does not read is not read from either.
 */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { QueueMode } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import {
  ChatEventsSchema,
  type ChatOpen,
  type ChatRequest,
  type ChatResponse,
  ChatResponseSchema,
  type ChatSend,
} from "../../../gen/atoll/gateway/v1/chat_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { createEventFilter, type FilterEvents } from "../../kernel/event/filter-events.ts";
import { onward, traceIdOf } from "../../kernel/rpc/call-context.ts";
import { noteWritten } from "../../kernel/rpc/readers/reader-place.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { openSession, submit } from "../send-message.ts";
import { chatErrorOf } from "./chat-error.ts";
import { type EventEncoding, encodingOf, setEvents } from "./encoded-events.ts";
import { followSession } from "./follow-session.ts";
import type { SessionHub } from "./session-hub.ts";

/** Sessions that may be open on one stream. */
const maxOpenSessions = 100;

type Frame = ChatResponse["frame"];

interface OpenSession {
  readonly control: AbortController;
  /** Resolves when nothing of the session is written any more. Never rejects. */
  readonly ended: Promise<void>;
}

interface Answer {
  readonly requestId: string;
  readonly frame: Frame;
  /** Set for events. */
  readonly lastSeq?: number | undefined;
}

/** With parts of 64 KiB (follow-session.ts) about 1 MiB that waits for a client that does not read. */
const maxWaitingAnswers = 16;

export async function* chat(
  deps: GatewayDeps,
  hub: SessionHub,
  requests: AsyncIterable<ChatRequest>,
  context: HandlerContext,
): AsyncGenerator<ChatResponse> {
  const stream = new ChatStream(deps, hub, context);
  void stream.readAll(requests);
  try {
    for await (const { requestId, frame, lastSeq } of stream.answers) {
      yield create(ChatResponseSchema, { requestId, frame });
      if (frame.case === "events") noteWritten(context, frame.value.sessionId, lastSeq ?? 0);
    }
  } finally {
    stream.close();
  }
}

class ChatStream {
  readonly answers = new FrameQueue<Answer>(maxWaitingAnswers);
  readonly #deps: GatewayDeps;
  readonly #hub: SessionHub;
  readonly #context: HandlerContext;
  readonly #encoding: EventEncoding;
  readonly #open = new Map<string, OpenSession>();
  readonly #stop = new AbortController();

  constructor(deps: GatewayDeps, hub: SessionHub, context: HandlerContext) {
    this.#deps = deps;
    this.#hub = hub;
    this.#context = context;
    this.#encoding = encodingOf(context);
    context.signal.addEventListener("abort", () => this.close(), { once: true });
    void this.#showLife();
  }

  /** A client that half-closes goes on hearing what it opened, until it leaves. */
  async readAll(requests: AsyncIterable<ChatRequest>): Promise<void> {
    try {
      for await (const request of requests) {
        try {
          await this.#take(request);
        } catch (error) {
          await this.answers.push({ requestId: request.requestId, frame: this.#refusal(error, "") });
        }
      }
      await Promise.allSettled([...this.#open.values()].map(({ ended }) => ended));
      this.answers.end();
    } catch (error) {
      this.answers.end(error);
    }
  }

  close(): void {
    this.#stop.abort();
    for (const { control } of this.#open.values()) control.abort();
    this.answers.end();
  }

  async #take({ requestId, action }: ChatRequest): Promise<void> {
    const call = onward(this.#context);
    switch (action.case) {
      case "open":
        return this.#openSession(requestId, action.value);
      case "close":
        return this.#closeSession(requestId, action.value.sessionId);
      case "send":
        return this.#send(requestId, action.value);
      case "steer":
        return this.#send(requestId, { ...action.value, queueMode: QueueMode.STEER });
      case "cancel": {
        const { runId, reason } = action.value;
        const { run } = await this.#deps.session.cancelRun({ requestId, runId, reason }, call);
        return this.#accept(requestId, { sessionId: run?.sessionId ?? "", runId });
      }
      case "decide": {
        const { sessionId, approvalId, decision, digest } = action.value;
        await this.#deps.session.resolveApproval({ requestId, sessionId, approvalId, decision, digest }, call);
        return this.#accept(requestId, { sessionId });
      }
      case "answer": {
        const { sessionId, questionId, answer } = action.value;
        const answered = { requestId, sessionId, questionId, action: action.value.action, answer };
        await this.#deps.session.answerQuestion(answered, call);
        return this.#accept(requestId, { sessionId });
      }
      case undefined:
        throw failure(ErrorReason.FIELD_INVALID, "action: required", {
          fields: [{ path: "action", problem: "required" }],
        });
    }
  }

  async #send(requestId: string, send: Omit<ChatSend, "$typeName">): Promise<void> {
    const { sessionId } = send;
    const { messageId, runId, seq } = await submit(this.#deps, { ...send, requestId }, onward(this.#context));
    await this.#accept(requestId, { sessionId, messageId, runId, seq });
  }

  async #accept(
    requestId: string,
    accepted: { sessionId: string; messageId?: string; runId?: string; seq?: bigint },
  ): Promise<void> {
    const value = {
      $typeName: "atoll.gateway.v1.ChatAccepted" as const,
      messageId: "",
      runId: "",
      seq: 0n,
      ...accepted,
    };
    await this.answers.push({ requestId, frame: { case: "accepted", value } });
  }

  async #openSession(requestId: string, open: ChatOpen): Promise<void> {
    if (this.#open.size >= maxOpenSessions) {
      throw failure(ErrorReason.LIMIT_EXCEEDED, `at most ${maxOpenSessions} sessions can be open on a stream`, {
        metadata: { limit: String(maxOpenSessions) },
      });
    }
    // What is refused makes no session.
    const filter = createEventFilter(open.filter, "open.filter");
    const sessionId = await openSession(
      this.#deps,
      { requestId, session: open.session, agentId: open.agentId, path: "open." },
      onward(this.#context),
    );
    if (this.#open.has(sessionId)) {
      throw failure(ErrorReason.FIELD_INVALID, `session ${sessionId} is open on this stream already`, {
        fields: [{ path: "open.session_id", problem: "is open on this stream already" }],
      });
    }
    const control = new AbortController();
    const opened = Promise.withResolvers<void>();
    let isOpen = false;
    const onOpened = (): void => {
      isOpen = true;
      opened.resolve();
    };
    const ended = this.#flow(requestId, sessionId, { cursor: open.cursor, filter }, control.signal, onOpened)
      .catch(async (error: unknown) => {
        // What was closed on purpose has not failed.
        if (control.signal.aborted) return;
        // Before it was open the frame is refused; after that its flow broke.
        const refusal = this.#refusal(error, isOpen ? sessionId : "");
        await this.answers.push({ requestId: isOpen ? "" : requestId, frame: refusal });
      })
      .finally(() => {
        this.#open.delete(sessionId);
        opened.resolve();
      });
    this.#open.set(sessionId, { control, ended });
    await opened.promise;
  }

  /** When it is accepted nothing of the session follows, and it can be opened again. */
  async #closeSession(requestId: string, sessionId: string): Promise<void> {
    const open = this.#open.get(sessionId);
    open?.control.abort();
    await open?.ended;
    await this.#accept(requestId, { sessionId });
  }

  async #flow(
    requestId: string,
    sessionId: string,
    { cursor, filter }: Pick<ChatOpen, "cursor"> & { readonly filter: FilterEvents },
    signal: AbortSignal,
    onOpened: () => void,
  ): Promise<void> {
    const follow = followSession(
      this.#deps,
      this.#hub,
      {
        sessionId,
        cursor: { logId: cursor?.logId ?? "", afterSeq: cursor?.afterSeq ?? 0n },
        signal,
        untilRunId: "",
        onOpened: ({ logId, headSeq }) => {
          const value = {
            $typeName: "atoll.gateway.v1.ChatOpened" as const,
            sessionId,
            logId,
            headSeq: BigInt(headSeq),
          };
          this.answers.offer({ requestId, frame: { case: "opened", value } });
          onOpened();
        },
      },
      this.#context,
    );
    for await (const { events, logId, headSeq } of follow) {
      if (events.length === 0) continue;
      const value = create(ChatEventsSchema, { sessionId, logId, headSeq: BigInt(headSeq) });
      setEvents(value, filter(events), this.#encoding);
      const lastSeq = events.at(-1)?.seq;
      if (!(await this.answers.push({ requestId: "", frame: { case: "events", value }, lastSeq }))) return;
    }
  }

  async #showLife(): Promise<void> {
    const { clock, progressIntervalMs } = this.#deps;
    try {
      for (;;) {
        await clock.sleep(progressIntervalMs, this.#stop.signal);
        const value = { $typeName: "atoll.gateway.v1.ChatProgress" as const, timeUnixMs: BigInt(clock.nowMs()) };
        await this.answers.push({ requestId: "", frame: { case: "progress", value } });
      }
    } catch {
      // The stream has ended.
    }
  }

  #refusal(error: unknown, sessionId: string): Frame {
    return {
      case: "error",
      value: chatErrorOf(error, sessionId, { log: this.#deps.log, traceId: traceIdOf(this.#context) }),
    };
  }
}
