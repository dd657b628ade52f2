// Filters where a log is read: ListEvents and Watch. What a filter does to a list of events has its test beside it.
import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
} from "../../../test/support/session-service.ts";
import { ErrorReason, failureFacts } from "../../kernel/errors.ts";
import { readEventRange } from "../../kernel/event/wire/read-event-range.ts";
import { attachByHand } from "../workers/hand-worker.fixture.ts";
import { openWatch } from "./watch-stream.fixture.ts";

const messages = { include: ["message_received"] };
const nothing = { include: ["usage"] };
const headSeq = 17;

/** A log of 17 events: message and run by turns, and the title behind the first message. */
async function writeLog(session: RunningSession): Promise<string> {
  const { sessionId } = await sendWords(session, "m0");
  for (let i = 1; i < 8; i++) await sendWords(session, `m${i}`, { sessionId });
  return sessionId;
}

const show = (bytes: Uint8Array): string => {
  const { body, firstSeq, seq } = fromBinary(EventSchema, bytes);
  return `${body.case} ${firstSeq}..${seq}`;
};

describe(`ListEvents with a filter ${verifies("S6")}`, () => {
  async function list(session: RunningSession, request: Parameters<RunningSession["client"]["listEvents"]>[0]) {
    const pages: string[][] = [];
    let pageToken = "";
    do {
      const page = await session.client.listEvents({ ...request, pageToken }, as(person));
      pages.push(page.events.map(show));
      pageToken = page.nextPageToken;
      expect(pages.length).toBeLessThanOrEqual(headSeq);
    } while (pageToken !== "");
    return pages;
  }

  it(`puts ranges in the place of what it hides, dense over all pages ${verifies("S1")}`, async () => {
    const session = await startSessionService();
    const sessionId = await writeLog(session);
    for (const pageSize of [1, 2, 3, 5, 17, 500]) {
      const pages = (await list(session, { sessionId, pageSize, filter: messages })).flat();
      let next = 1;
      for (const shown of pages) {
        const [, firstSeq, seq] = /(\d+)\.\.(\d+)$/.exec(shown) ?? [];
        expect(Number(firstSeq)).toBe(next);
        next = Number(seq) + 1;
      }
      expect(next).toBe(headSeq + 1);
      expect(pages.filter((shown) => !shown.startsWith("omitted"))).toEqual(
        [1, 4, 6, 8, 10, 12, 14, 16].map((seq) => `messageReceived ${seq}..${seq}`),
      );
    }
  });

  it("goes on behind a page that hides everything, and ends", async () => {
    const session = await startSessionService();
    const sessionId = await writeLog(session);
    expect(await list(session, { sessionId, pageSize: 10, filter: nothing })).toEqual([
      ["omitted 1..10"],
      ["omitted 11..17"],
    ]);
    expect(await list(session, { sessionId, filter: nothing, cursor: { afterSeq: 17n } })).toEqual([[]]);
  });

  it(`goes on with another filter from any place, also inside a range ${verifies("S2")}`, async () => {
    const session = await startSessionService();
    const sessionId = await writeLog(session);
    const cursor = { afterSeq: 2n };
    expect(await list(session, { sessionId, filter: { exclude: ["run_queued"] }, cursor, pageSize: 3 })).toMatchObject([
      ["omitted 3..3", "messageReceived 4..4", "omitted 5..5"],
      ["messageReceived 6..6", "omitted 7..7", "messageReceived 8..8"],
      {},
      {},
      {},
    ]);
  });

  it("refuses a name that is no body, by its path", async () => {
    const session = await startSessionService();
    const sessionId = await writeLog(session);
    const refused = await session.client
      .listEvents({ sessionId, filter: { exclude: ["run_queued", "gossip"] } }, as(person))
      .then(() => expect.fail("not refused"), ConnectError.from);
    expect(refused.code).toBe(Code.InvalidArgument);
    expect(failureFacts(refused)).toMatchObject({
      reason: ErrorReason.FIELD_INVALID,
      fields: [{ path: "filter.exclude[1]" }],
    });
  });
});

describe(`Watch with a filter ${verifies("S6")}`, () => {
  it(`stays dense from the past into what comes live ${verifies("S1", "S2")}`, async () => {
    const session = await startSessionService();
    const sessionId = await writeLog(session);
    const watch = openWatch(session);
    watch.create(1, sessionId, { filter: messages });
    watch.create(2, sessionId, { filter: nothing, cursor: { afterSeq: 2n } });
    watch.create(3, sessionId, { cursor: { afterSeq: 10n } });
    for (const watchId of [1, 2, 3]) await watch.readThrough(watchId, headSeq);
    const worker = await attachByHand(session.inMemory, "hand");
    const offer = await worker.hear("offer");
    worker.append(offer, 1, { case: "stepStarted", value: { model: "m" } }, { case: "phaseChanged", value: {} });
    // RunStarted, and the two of the batch.
    for (const watchId of [1, 2, 3]) await watch.readThrough(watchId, headSeq + 3);
    for (const [watchId, from] of Object.entries({ 1: 0, 2: 2, 3: 10 })) {
      let seq = from;
      for (const event of watch.events(Number(watchId))) {
        expect(event.firstSeq).toBe(seq + 1);
        ({ seq } = event);
      }
      expect(seq).toBe(headSeq + 3);
    }
    const shown = watch.events(1).map(({ bytes }) => show(bytes));
    expect(shown.filter((each) => each.startsWith("messageReceived"))).toHaveLength(8);
    expect(shown.every((each) => /^(messageReceived|omitted) /.test(each))).toBe(true);
    expect(watch.events(2).every(({ bytes }) => show(bytes).startsWith("omitted"))).toBe(true);
  });

  it(`goes on inside a range that a watcher before it was told of, with another filter ${verifies("S2")}`, async () => {
    const session = await startSessionService();
    const sessionId = await writeLog(session);
    const watch = openWatch(session);
    watch.create(1, sessionId, { filter: nothing });
    const [whole] = await watch.readThrough(1, headSeq);
    expect(whole && show(whole.bytes)).toBe("omitted 1..17");
    watch.create(2, sessionId, { cursor: { afterSeq: 9n } });
    expect((await watch.readThrough(2, headSeq)).map(({ bytes }) => readEventRange(bytes).firstSeq)).toEqual([
      10, 11, 12, 13, 14, 15, 16, 17,
    ]);
  });

  it("ends a watcher whose filter is none, and no other", async () => {
    const session = await startSessionService();
    const sessionId = await writeLog(session);
    const watch = openWatch(session);
    watch.create(1, sessionId, { filter: { include: ["gossip"] } });
    watch.create(2, sessionId);
    expect(await watch.endOf(1)).toMatchObject({
      code: Code.InvalidArgument,
      reason: ErrorReason.FIELD_INVALID,
      metadata: { field: "filter.include[0]" },
    });
    expect(await watch.readThrough(2, headSeq)).toHaveLength(headSeq);
  });
});
