// Pages of a log that changes between them.
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
} from "../../../test/support/session-service.ts";
import { attachByHand } from "../workers/hand-worker.fixture.ts";

/** A session in which a run says numbers, each in a delta of its own. */
async function startCounting(session: RunningSession) {
  const worker = await attachByHand(session.inMemory, "hand");
  const { sessionId } = await sendWords(session, "count");
  const offer = await worker.hear("offer");
  let text = "";
  let batchNo = 0;
  const say = async (count: number): Promise<void> => {
    const bodies = Array.from({ length: count }, (_, index) => {
      const value = { blockId: "1.1.0", offset: BigInt(text.length), text: `${index} ` };
      text += value.text;
      return { case: "textDelta", value } as const;
    });
    worker.append(offer, ++batchNo, ...bodies);
    await worker.hear("accepted");
  };
  // Fewer than a window of compaction, so that the service's own job leaves them alone.
  await say(200);
  return {
    sessionId,
    text: () => text,
    /** Says more, and merges what the head has left behind. */
    grow: async () => {
      await say(400);
      await session.store.compactLogs({ maxWindows: 100 });
    },
  };
}

/** Reads all pages, and calls `between` after the first; checks S1 over the pages. */
async function readPages(
  between: () => Promise<void>,
  readPage: (pageToken: string) => Promise<{ events: Uint8Array[]; nextPageToken: string; headSeq: bigint }>,
): Promise<{ readonly text: string; readonly seq: number; readonly headSeq: number }> {
  let seq = 0;
  let text = "";
  for (let pageToken = ""; ; ) {
    const page = await readPage(pageToken);
    for (const event of page.events.map((bytes): Event => fromBinary(EventSchema, bytes))) {
      expect(Number(event.firstSeq)).toBe(seq + 1);
      seq = Number(event.seq);
      if (event.body.case !== "textDelta") continue;
      expect(Number(event.body.value.offset)).toBe(text.length);
      text += event.body.value.text;
    }
    if (pageToken === "") await between();
    if (page.nextPageToken === "") return { text, seq, headSeq: Number(page.headSeq) };
    pageToken = page.nextPageToken;
  }
}

describe(`pages of a log that is compacted between them ${verifies("S1", "S3")}`, () => {
  it("follow one another in ListEvents", async () => {
    const session = await startSessionService();
    const counting = await startCounting(session);
    const { sessionId } = counting;
    const read = await readPages(counting.grow, (pageToken) =>
      session.client.listEvents({ sessionId, pageToken, pageSize: 150 }, as(person)),
    );
    expect(read.text).toBe(counting.text());
  });

  it("follow one another in a snapshot, and the last says where to go on", async () => {
    const session = await startSessionService();
    const counting = await startCounting(session);
    const { sessionId } = counting;
    const read = await readPages(counting.grow, (pageToken) =>
      session.client.getSnapshot({ sessionId, pageToken, pageBytes: 5_000 }, as(person)),
    );
    expect(counting.text().startsWith(read.text)).toBe(true);
    // The page that was merged with what followed reaches past what the first page said.
    expect([read.headSeq, read.seq]).toEqual([256, 256]);
  });

  it("begin again with a merged delta where a cursor stands inside it", async () => {
    const session = await startSessionService();
    const { sessionId, grow } = await startCounting(session);
    await grow();
    const page = await session.client.listEvents({ sessionId, cursor: { afterSeq: 100n } }, as(person));
    const [first] = page.events.map((bytes) => fromBinary(EventSchema, bytes));
    expect([Number(first?.firstSeq), Number(first?.seq)]).toEqual([5, 256]);
  });
});
