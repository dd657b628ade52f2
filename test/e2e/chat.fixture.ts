/** One Chat stream in a test: says frames, waits for their answers, and keeps every event. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import type { ChatRequestSchema, ChatResponse } from "../../gen/atoll/gateway/v1/chat_pb.ts";
import { FrameQueue } from "../../services/kernel/stream/frame-queue.ts";
import type { MeshClient } from "./mesh-client.fixture.ts";

type Frame = ChatResponse["frame"];
type FrameCase = Exclude<Frame["case"], undefined>;
type FrameValue<C extends FrameCase> = Extract<Frame, { case: C }>["value"];
type ChatInit = Exclude<MessageInitShape<typeof ChatRequestSchema>, { $typeName: string }>;

export interface ChatStream {
  /** Every event that came, of all sessions. */
  readonly events: readonly Event[];
  say(frame: ChatInit): void;
  /** The next answer to a request that was not taken yet; it must be of this kind. */
  answer<C extends FrameCase>(requestId: string, kind: C): Promise<FrameValue<C>>;
  /** Resolves when what came satisfies `isEnough`. */
  until(isEnough: (events: readonly Event[]) => boolean): Promise<void>;
  /** Says that nothing more comes, and waits until the mesh has ended the stream. */
  leave(): Promise<void>;
  /** Leaves without a word. */
  cut(): void;
}

export function openChat({ gateway }: MeshClient): ChatStream {
  const requests = new FrameQueue<ChatInit>();
  const control = new AbortController();
  const events: Event[] = [];
  const answers: ChatResponse[] = [];
  let changed = Promise.withResolvers<void>();
  let ended: { readonly error: unknown } | undefined;
  const change = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const reading = (async () => {
    try {
      for await (const response of gateway.chat(requests, { signal: control.signal })) {
        if (response.frame.case === "events") events.push(...response.frame.value.events);
        else if (response.requestId !== "") answers.push(response);
        change();
      }
      ended = { error: new Error("the mesh ended the stream") };
    } catch (error) {
      ended = { error };
    }
    change();
  })();
  const next = async <T>(find: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      if (ended !== undefined) throw ended.error;
      await changed.promise;
    }
  };
  return {
    events,
    say: (frame) => void requests.offer(frame),
    async answer(requestId, kind) {
      const { frame } = await next(() => {
        const at = answers.findIndex((answer) => answer.requestId === requestId);
        return at < 0 ? undefined : answers.splice(at, 1)[0];
      });
      if (frame.case !== kind)
        throw new Error(`${requestId} was answered with ${frame.case}: ${JSON.stringify(frame.value, textually)}`);
      return frame.value as FrameValue<typeof kind>;
    },
    async until(isEnough) {
      await next(() => (isEnough(events) ? true : undefined));
    },
    async leave() {
      requests.end();
      await reading;
    },
    cut: () => control.abort(),
  };
}

function textually(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
