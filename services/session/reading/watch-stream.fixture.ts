/** One Watch stream that a test holds in its hands: it creates and cancels watchers, and keeps all that they were told. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { expect, onTestFinished } from "vitest";
import type { RawWatchResponse } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { WatchCancelled, WatchCreateSchema, WatchRequestSchema } from "../../../gen/atoll/session/v1/watch_pb.ts";
import { as, person, type RunningSession } from "../../../test/support/session-service.ts";
import type { Principal } from "../../kernel/auth/principal.ts";
import type { StoredEvent } from "../../kernel/event/stored-event.ts";
import { readEventRange } from "../../kernel/event/wire/read-event-range.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";

type Frame = RawWatchResponse["frame"];
type Create = Exclude<MessageInitShape<typeof WatchCreateSchema>, { $typeName: string }>;

export interface WatchStream {
  readonly create: (watchId: number, sessionId: string, more?: Create) => void;
  readonly send: (create: Create) => void;
  readonly cancel: (watchId: number) => void;
  /** Says no more, but goes on listening. */
  readonly halfClose: () => void;
  readonly leave: () => void;
  readonly frames: readonly Frame[];
  readonly isOver: () => boolean;
  /** Why the whole stream broke, if it did. */
  readonly error: () => ConnectError | undefined;
  /** The events of a watcher so far. */
  readonly events: (watchId: number) => StoredEvent[];
  /** Waits until a watcher was told of this seq, and gives its events. */
  readonly readThrough: (watchId: number, seq: number) => Promise<StoredEvent[]>;
  /** Waits until a watcher has ended. */
  readonly endOf: (watchId: number) => Promise<WatchCancelled>;
  readonly until: (isEnough: () => boolean) => Promise<void>;
}

export function openWatch({ client }: Pick<RunningSession, "client">, principal: Principal = person): WatchStream {
  const requests = new FrameQueue<MessageInitShape<typeof WatchRequestSchema>>();
  const control = new AbortController();
  const frames: Frame[] = [];
  let over = false;
  let broke: ConnectError | undefined;
  void (async () => {
    try {
      const responses = client.watch(requests, { ...as(principal), signal: control.signal });
      for await (const { frame } of responses) frames.push(frame);
    } catch (error) {
      broke = ConnectError.from(error);
    }
    over = true;
  })();
  onTestFinished(() => control.abort());
  const until = (isEnough: () => boolean): Promise<void> => expect.poll(isEnough, { timeout: 20_000 }).toBe(true);
  const events: WatchStream["events"] = (watchId) =>
    frames.flatMap((frame) =>
      frame.case === "batch" && frame.value.watchId === BigInt(watchId)
        ? frame.value.events.map((bytes) => ({ ...readEventRange(bytes), bytes }))
        : [],
    );
  const send = (create: Create): void => void requests.offer({ frame: { case: "create", value: create } });
  const endsOf = (watchId: number): WatchCancelled[] =>
    frames.flatMap((frame) =>
      frame.case === "cancelled" && frame.value.watchId === BigInt(watchId) ? [frame.value] : [],
    );
  return {
    create: (watchId, sessionId, more = {}) =>
      send({ watchId: BigInt(watchId), target: { case: "sessionId", value: sessionId }, ...more }),
    send,
    cancel: (watchId) => void requests.offer({ frame: { case: "cancel", value: { watchId: BigInt(watchId) } } }),
    halfClose: () => requests.end(),
    leave: () => control.abort(),
    frames,
    isOver: () => over,
    error: () => broke,
    events,
    readThrough: async (watchId, seq) => {
      await until(() => (events(watchId).at(-1)?.seq ?? 0) >= seq);
      return events(watchId);
    },
    endOf: async (watchId) => {
      await until(() => endsOf(watchId).length > 0);
      const [first] = endsOf(watchId);
      return first ?? expect.fail("there is no end");
    },
    until,
  };
}
