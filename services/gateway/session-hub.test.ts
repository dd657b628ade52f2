import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { verifies } from "../../test/requirements.ts";
import { systemClock } from "../kernel/clock.ts";
import { encodeEvent } from "../kernel/event/encode-event.ts";
import { stampEvents } from "../kernel/event/stamp-events.fixture.ts";
import { createLog } from "../kernel/log.ts";
import { RawSessionService } from "../kernel/rpc/raw-session-service.ts";
import { FrameQueue } from "../kernel/stream/frame-queue.ts";
import type { LogSlice } from "../kernel/stream/tail-log.ts";
import { SessionHub } from "./session-hub.ts";

interface Watching {
  readonly frames: FrameQueue<object>;
  /** What the hub asked for on this stream: `create <session> after <seq>` or `cancel <watch>`. */
  readonly asked: string[];
  readonly ids: bigint[];
  /** The log of each create's cursor. */
  readonly logIds: (string | undefined)[];
}

/** A session service whose Watch streams a test holds in its hands. */
function setUp() {
  const streams: Watching[] = [];
  const transport = createRouterTransport((router) =>
    router.service(RawSessionService, {
      async *watch(requests) {
        const watching: Watching = { frames: new FrameQueue(), asked: [], ids: [], logIds: [] };
        streams.push(watching);
        void (async () => {
          for await (const { frame } of requests) {
            if (frame.case === "create") {
              watching.ids.push(frame.value.watchId);
              watching.asked.push(`create ${String(frame.value.target.value)} after ${frame.value.cursor?.afterSeq}`);
              watching.logIds.push(frame.value.cursor?.logId);
            } else if (frame.case === "cancel") watching.asked.push(`cancel ${frame.value.watchId}`);
          }
        })().catch(() => undefined);
        yield* watching.frames as AsyncIterable<never>;
      },
    }),
  );
  const log = createLog({ level: "silent", format: "json" });
  const deps = { session: createClient(RawSessionService, transport), clock: systemClock, log };
  const hub = new SessionHub(deps as never);
  onTestFinished(() => hub.close());
  const read = (sessionId: string, headSeq: number) => {
    const slices: LogSlice[] = [];
    const place = { tenant: "local", sessionId, logId: "log_1" };
    const feed = hub.subscribe(place, headSeq, (slice) => void slices.push(slice));
    return { ...feed, slices, seqs: () => slices.flatMap(({ events }) => events.map(({ seq }) => seq)) };
  };
  const batch = (stream: Watching | undefined, afterSeq: number, count: number, index = 0) => {
    const encoded = Array.from({ length: count }, () =>
      encodeEvent({ body: { case: "textDelta", value: { blockId: "1" } } }),
    );
    const events = stampEvents(encoded, afterSeq, Date.now()).map(({ bytes }) => bytes);
    const value = { watchId: stream?.ids[index], logId: "log_1", headSeq: BigInt(afterSeq + count), events };
    stream?.frames.offer({ frame: { case: "batch", value } });
  };
  const refuse = (stream: Watching | undefined, code: Code, reason: string, metadata = {}) => {
    const value = { watchId: stream?.ids[0], code, reason, message: "for people", metadata };
    stream?.frames.offer({ frame: { case: "cancelled", value } });
  };
  return { streams, read, batch, refuse };
}

describe("the gateway's watch of a session", () => {
  it("is one for all of its readers, and ends with the last of them", async () => {
    const { streams, read, batch } = setUp();
    const readers = [read("ses_1", 3), read("ses_1", 3), read("ses_1", 1)];
    await expect.poll(() => streams[0]?.asked).toEqual(["create ses_1 after 3"]);
    batch(streams[0], 3, 2);
    for (const reader of readers) await expect.poll(reader.seqs).toEqual([4, 5]);
    // Who joins later learns what was delivered before, and reads that from the log.
    expect(read("ses_1", 0)).toMatchObject({ deliveredSeq: 5 });
    readers[0]?.unsubscribe();
    batch(streams[0], 5, 1);
    await expect.poll(readers[1]?.seqs ?? (() => [])).toEqual([4, 5, 6]);
    expect(readers[0]?.seqs()).toEqual([4, 5]);
    expect(streams).toHaveLength(1);
    expect(streams[0]?.asked).toHaveLength(1);
  });

  it("is cancelled when nobody reads, and made anew for the next reader", async () => {
    const { streams, read } = setUp();
    const first = read("ses_1", 3);
    await expect.poll(() => streams[0]?.asked.length).toBe(1);
    first.unsubscribe();
    first.unsubscribe();
    read("ses_1", 9);
    await expect.poll(() => streams[0]?.asked).toEqual(["create ses_1 after 3", "cancel 1", "create ses_1 after 9"]);
  });

  it(`goes on after a break from what was delivered, without a gap ${verifies("S2")}`, async () => {
    const { streams, read, batch } = setUp();
    const one = read("ses_1", 0);
    const other = read("ses_2", 7);
    await expect.poll(() => streams[0]?.asked.length).toBe(2);
    batch(streams[0], 0, 4);
    await expect.poll(one.seqs).toEqual([1, 2, 3, 4]);
    streams[0]?.frames.end(new Error("cut"));
    await expect.poll(() => streams[1]?.asked).toEqual(["create ses_1 after 4", "create ses_2 after 7"]);
    batch(streams[1], 4, 1);
    await expect.poll(one.seqs).toEqual([1, 2, 3, 4, 5]);
    expect(other.seqs()).toEqual([]);
  });

  for (const reason of ["HISTORY_TRIMMED", "LOG_REPLACED", "CURSOR_AHEAD"]) {
    it(`whose place is void goes on from the head, and its readers read the log: ${reason} ${verifies("S2", "S5")}`, async () => {
      const { streams, read, refuse } = setUp();
      const reader = read("ses_1", 3);
      await expect.poll(() => streams[0]?.ids.length).toBe(1);
      refuse(streams[0], Code.OutOfRange, reason, { log_id: "log_2", oldest_seq: "7", head_seq: "9" });
      await expect.poll(() => reader.slices).toEqual([{ logId: "log_2", events: [], headSeq: 9 }]);
      await expect.poll(() => streams[0]?.asked).toEqual(["create ses_1 after 3", "create ses_1 after 9"]);
      expect(streams[0]?.logIds).toEqual(["log_1", "log_2"]);
      expect(read("ses_1", 12).deliveredSeq).toBe(9);
    });
  }

  it("of a session that is gone wakes its readers, who read the log, and is not asked for again", async () => {
    const { streams, read, refuse } = setUp();
    const reader = read("ses_1", 3);
    await expect.poll(() => streams[0]?.ids.length).toBe(1);
    refuse(streams[0], Code.NotFound, "SESSION_NOT_FOUND");
    await expect.poll(() => reader.slices).toEqual([{ logId: "log_1", events: [], headSeq: 3 }]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(streams[0]?.asked).toHaveLength(1);
  });

  for (const [code, reason] of [
    [Code.Unavailable, "STORE_UNAVAILABLE"],
    [Code.ResourceExhausted, "LIMIT_EXCEEDED"],
    [Code.Internal, "INTERNAL"],
  ] as const) {
    it(`that could not be served just now is asked for until it is, and its readers stay: ${reason}`, async () => {
      const { streams, read, batch, refuse } = setUp();
      const reader = read("ses_1", 3);
      await expect.poll(() => streams[0]?.ids.length).toBe(1);
      batch(streams[0], 3, 1);
      await expect.poll(reader.seqs).toEqual([4]);
      const asked = ["create ses_1 after 3"];
      for (let times = 0; times < 3; times++) {
        refuse(streams[0], code, reason);
        asked.push("create ses_1 after 4");
        await expect.poll(() => streams[0]?.asked).toEqual(asked);
      }
      batch(streams[0], 4, 1);
      await expect.poll(reader.seqs).toEqual([4, 5]);
      expect(reader.slices.map(({ logId }) => logId)).toEqual(["log_1", "log_1"]);
    });
  }
});
