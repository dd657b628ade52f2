import { fromBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { cutDelta, readDeltaEnd } from "./cut-delta.ts";
import { encodeEvent } from "./encode-event.ts";
import { mergeDeltas } from "./merge-deltas.ts";
import type { StoredEvent } from "./stored-event.ts";
import { stampEvents } from "./wire/stamp-events.fixture.ts";

function deltasOf(...texts: readonly string[]): StoredEvent[] {
  return texts.flatMap((text, index) => {
    const offset = BigInt(Buffer.byteLength(texts.slice(0, index).join("")));
    const body = { case: "textDelta", value: { blockId: "1.1.0", offset, text } } as const;
    return stampEvents([encodeEvent({ runId: "run_1", step: 1, attempt: 1, body })], index, 1_000 * (index + 1));
  });
}

function only(events: readonly StoredEvent[]): StoredEvent {
  const [event, ...others] = events;
  if (event === undefined || others.length > 0) throw new Error(`${events.length} events`);
  return event;
}

const decode = ({ bytes }: StoredEvent): Event => fromBinary(EventSchema, bytes);

describe(`cutting a merged delta ${verifies("S1", "S3")}`, () => {
  const texts = ["Zü", "rich", "", " 🚤", "!"];
  const parts = deltasOf(...texts);
  const merged = only(mergeDeltas(parts));

  test("leaves what its reader has not, wherever the reader stands", () => {
    for (const [index, part] of parts.slice(0, -1).entries()) {
      const cut = cutDelta(merged, part.seq, readDeltaEnd(part));
      const rest = only(mergeDeltas(parts.slice(index + 1)));
      expect(decode(cut)).toEqual(decode(rest));
      expect([cut.firstSeq, cut.seq]).toEqual([part.seq + 1, 5]);
    }
  });

  test("keeps the time of its last part", () => {
    const { time } = decode(cutDelta(merged, 2, 7));
    expect(time && timestampMs(time)).toBe(5_000);
  });

  test("begins anew where everything before was empty", () => {
    const [first, second] = deltasOf("", "a");
    if (first === undefined || second === undefined) throw new Error("two events");
    expect(decode(cutDelta(only(mergeDeltas([first, second])), 1, readDeltaEnd(first)))).toEqual(decode(second));
  });

  test.each([
    ["that begins after the reader's place", 0, 0],
    ["when the reader's last event was no delta", 2, undefined],
    ["when the reader's text ends before it", 2, -1],
    ["when the reader's text ends behind it", 2, 99],
  ])("leaves an event as it is %s", (_, afterSeq, knownEnd) => {
    expect(cutDelta(merged, afterSeq, knownEnd)).toBe(merged);
  });

  test("leaves as it is what is no delta", () => {
    const body = { case: "runFinished", value: { status: 1 } } as const;
    const other = only(stampEvents([encodeEvent({ runId: "run_1", body })], 0, 0));
    expect(readDeltaEnd(other)).toBeUndefined();
    expect(cutDelta(other, 1, 3)).toBe(other);
  });
});
