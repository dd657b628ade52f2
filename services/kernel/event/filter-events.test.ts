import { fromBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failureFacts } from "../errors.ts";
import { encodeEvent } from "./encode-event.ts";
import { createEventFilter } from "./filter-events.ts";
import type { StoredEvent } from "./stored-event.ts";
import { encodeEventTime, stampEvent } from "./wire/stamp-event.ts";

type Body = NonNullable<Parameters<typeof encodeEvent>[0]["body"]>;

const bodies = {
  text: { case: "textDelta", value: { blockId: "1.1.0", text: "a" } },
  thinking: { case: "thinkingDelta", value: { blockId: "1.1.0", text: "a" } },
  finished: { case: "runFinished", value: { status: 1 } },
  truncated: { case: "logTruncated", value: { reason: "a crash" } },
  trimmed: { case: "historyTrimmed", value: { count: 1n } },
} as const satisfies Record<string, Body>;

/** A log whose events cover 1..n; each was committed at its last seq × 1 000 ms. */
function logOf(parts: readonly (readonly [kind: keyof typeof bodies, width: number])[]): StoredEvent[] {
  let headSeq = 0;
  return parts.map(([kind, width]) => {
    const firstSeq = headSeq + 1;
    headSeq += width;
    const encoded = encodeEvent({ runId: "run_1", body: bodies[kind] });
    return { firstSeq, seq: headSeq, bytes: stampEvent(encoded, firstSeq, headSeq, encodeEventTime(headSeq * 1_000)) };
  });
}

const filterOf = (include: readonly string[], exclude: readonly string[] = []) =>
  createEventFilter({ include: [...include], exclude: [...exclude] });

const decode = ({ bytes, firstSeq, seq }: StoredEvent): Event => {
  const event = fromBinary(EventSchema, bytes);
  expect([event.firstSeq, event.seq]).toEqual([BigInt(firstSeq), BigInt(seq)]);
  return event;
};

const show = (events: readonly StoredEvent[]): string[] =>
  events.map((event) => `${decode(event).body.case} ${event.firstSeq}..${event.seq}`);

describe(`filtering events ${verifies("S6")}`, () => {
  const log = logOf([
    ["text", 1],
    ["thinking", 1],
    ["thinking", 4],
    ["finished", 1],
    ["text", 1],
  ]);

  test("puts one range in the place of what it hides", () => {
    expect(show(filterOf(["text_delta", "run_finished"])(log))).toEqual([
      "textDelta 1..1",
      "omitted 2..6",
      "runFinished 7..7",
      "textDelta 8..8",
    ]);
    expect(show(filterOf([], ["text_delta"])(log))).toEqual([
      "omitted 1..1",
      "thinkingDelta 2..2",
      "thinkingDelta 3..6",
      "runFinished 7..7",
      "omitted 8..8",
    ]);
    expect(show(filterOf(["text_delta", "run_finished"], ["text_delta"])(log))).toEqual([
      "omitted 1..6",
      "runFinished 7..7",
      "omitted 8..8",
    ]);
    expect(show(filterOf(["usage"])(log))).toEqual(["omitted 1..8"]);
  });

  test("shows every event as it is when nothing is asked for", () => {
    expect(createEventFilter(undefined)(log)).toEqual(log);
    expect(filterOf([])(log)).toEqual(log);
    expect(filterOf(["text_delta"])([])).toEqual([]);
  });

  test("makes the same bytes for every reader: count and time come from what is hidden", () => {
    const [, range] = filterOf(["text_delta", "run_finished"])(log);
    if (range === undefined) throw new Error("a range");
    const { body, time } = decode(range);
    expect(body).toMatchObject({ case: "omitted", value: { count: 5n } });
    expect(time && timestampMs(time)).toBe(6_000);
    expect(filterOf(["run_finished", "text_delta", "usage"])(log)[1]).toEqual(range);
  });

  test(`never hides what says that events are missing ${verifies("S4")}`, () => {
    const lossy = logOf([
      ["trimmed", 5],
      ["text", 1],
      ["truncated", 3],
    ]);
    expect(show(filterOf(["usage"])(lossy))).toEqual(["historyTrimmed 1..5", "omitted 6..6", "logTruncated 7..9"]);
  });

  test(`passes an unknown body on unless something else is asked for ${verifies("S7")}`, () => {
    const [event] = logOf([["text", 1]]);
    if (event === undefined) throw new Error("an event");
    // Field 99, two bytes, in the place of the body.
    const unknown = {
      ...event,
      bytes: stampEvent(Uint8Array.of(0x9a, 0x06, 0x02, 0x0a, 0x00), 1, 1, encodeEventTime(0)),
    };
    expect(filterOf([], ["text_delta"])([unknown])).toEqual([unknown]);
    expect(show(filterOf(["text_delta"])([unknown]))).toEqual(["omitted 1..1"]);
  });

  test.each([
    [["text"], [], "filter.include[0]"],
    [["text_delta", "toString"], [], "filter.include[1]"],
    [[], ["textDelta"], "filter.exclude[0]"],
    [[], ["text_delta", "history_trimmed"], "filter.exclude[1]"],
    [[], ["log_truncated"], "filter.exclude[0]"],
  ])("refuses include %j exclude %j by its path", (include, exclude, path) => {
    const make = (): unknown => filterOf(include, exclude);
    try {
      make();
    } catch (error) {
      const { reason, fields } = failureFacts(ConnectError.from(error));
      expect([ConnectError.from(error).code, reason]).toEqual([Code.InvalidArgument, ErrorReason.FIELD_INVALID]);
      expect(fields.map((field) => field.path)).toEqual([path]);
      return;
    }
    expect.fail("the filter was not refused");
  });

  test(`covers every number once and shows every wanted event, whatever the borders of the batches ${verifies("S1")}`, () => {
    const kind = fc.constantFrom("text", "thinking", "finished", "truncated", "trimmed");
    const part = fc.tuple(kind, fc.integer({ min: 1, max: 5 }));
    const names = fc.subarray(["text_delta", "thinking_delta", "run_finished", "usage"]);
    const property = fc.property(
      fc.array(part, { minLength: 1, maxLength: 40 }),
      names,
      names,
      fc.array(fc.nat({ max: 40 })),
      (parts, include, exclude, cuts) => {
        const whole = logOf(parts);
        const filter = filterOf(include, exclude);
        const borders = [...new Set([0, ...cuts.map((cut) => cut % whole.length), whole.length])].sort((a, b) => a - b);
        const shown = borders.flatMap((from, index) => filter(whole.slice(from, borders[index + 1] ?? from)));
        let next = 1;
        for (const { firstSeq, seq } of shown) {
          expect(firstSeq).toBe(next);
          next = seq + 1;
        }
        expect(next).toBe((whole.at(-1)?.seq ?? 0) + 1);
        const bodiesOf = (events: readonly StoredEvent[]) => events.filter((event) => whole.includes(event));
        // The borders change how hidden ranges are cut, never what is shown.
        expect(bodiesOf(shown)).toEqual(bodiesOf(filter(whole)));
        for (const event of shown) {
          if (!whole.includes(event)) expect(decode(event).body.case).toBe("omitted");
        }
      },
    );
    fc.assert(property, { numRuns: 500 });
  });
});
