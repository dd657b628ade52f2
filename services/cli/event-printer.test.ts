import { fromBinary, fromJsonString } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Event, EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../../test/requirements.ts";
import { type EventBody, encodeEvent } from "../kernel/event/encode-event.ts";
import { mergeDeltas } from "../kernel/event/merge-deltas.ts";
import { stampEvents } from "../kernel/event/stamp-events.fixture.ts";
import type { StoredEvent } from "../kernel/event/stored-event.ts";
import { trimmedHistory } from "../kernel/event/trimmed-history.ts";
import { EventPrinter } from "./event-printer.ts";

const decode = (events: readonly StoredEvent[]) => events.map(({ bytes }) => fromBinary(EventSchema, bytes));

function logOf(...bodies: readonly EventBody[]): readonly StoredEvent[] {
  const encoded = bodies.map((body) => encodeEvent({ runId: "run_1", step: 1, attempt: 1, body }));
  return stampEvents(encoded, 0, 1_000);
}

const delta = (offset: number, text: string, blockId = "1.1.0"): EventBody => ({
  case: "textDelta",
  value: { blockId, offset: BigInt(offset), text },
});

/** The deltas of one block. */
function textLog(texts: readonly string[]): readonly StoredEvent[] {
  const offsetOf = (index: number) => Buffer.byteLength(texts.slice(0, index).join(""));
  return logOf(...texts.map((text, index) => delta(offsetOf(index), text)));
}

function openPrinter(isJson = false) {
  let shown = "";
  const write = (text: string) => {
    shown += text;
  };
  const output = { write, line: (text = "") => write(`${text}\n`), note: write, isTerminal: false };
  const printer = new EventPrinter(output, isJson);
  const print = (events: readonly Event[]) => {
    for (const event of events) printer.print(event);
  };
  return { printer, print, shown: () => shown };
}

/** What a stream that resumes at a cursor brings of the log as it is then. */
const resumeAt = (log: readonly StoredEvent[], seq: number) => decode(log.filter((event) => event.seq > seq));

describe("printing events", () => {
  it(`says that it waits for the model, and what was left out ${verifies("L9", "FW3")}`, () => {
    const { print, shown } = openPrinter();
    const waiting = { model: "m", waitMs: 44_100n, reason: "overloaded", retry: 1, of: 2 };
    print(
      decode(
        logOf(
          { case: "modelWaiting", value: waiting },
          { case: "historyMended", value: { reason: "A picture was left out." } },
          { case: "toolLeftOut", value: { tool: "a.b", reason: "no schema" } },
        ),
      ),
    );
    expect(shown()).toBe(
      "(waiting for the model, 45 s; retry 1 of 2: overloaded)\n(A picture was left out.)\n(the tool a.b was left out: no schema)\n",
    );
  });

  it(`says each word once when the stream breaks in a block that is merged meanwhile ${verifies("S2", "S3")}`, () => {
    const log = textLog(["one ", "two ", "three ", "four ", "five ", "six "]);
    const { print, shown } = openPrinter();
    print(decode(log.slice(0, 3)));
    print(resumeAt(mergeDeltas(log), 3));
    expect(shown()).toBe("one two three four five six ");
  });

  it("says the text of the log wherever streams break, in letters of any length", () => {
    const pieces = fc.array(fc.constantFrom("a", "ä", "あ", "🌴", "word "), { minLength: 2, maxLength: 30 });
    fc.assert(
      fc.property(pieces, fc.array(fc.tuple(fc.nat(29), fc.nat(29))), (texts, breaks) => {
        const log = textLog(texts);
        const { print, shown } = openPrinter();
        let seq = 0;
        for (const [from, count] of breaks) {
          // A part of the log is merged by now, and the stream breaks after some of its events.
          const now = [...log.slice(0, from), ...mergeDeltas(log.slice(from))];
          const events = resumeAt(now, seq).slice(0, count % 5);
          print(events);
          seq = Number(events.at(-1)?.seq ?? seq);
        }
        print(resumeAt(log, seq));
        expect(shown()).toBe(texts.join(""));
      }),
    );
  });

  it(`is dense as JSON too ${verifies("S1")}`, () => {
    const log = textLog(["one ", "two ", "three "]);
    const { print, shown } = openPrinter(true);
    print(decode(log.slice(0, 2)));
    print(resumeAt(mergeDeltas(log), 2));
    const lines = shown()
      .trimEnd()
      .split("\n")
      .map((line) => fromJsonString(EventSchema, line));
    expect(lines.map(({ firstSeq, seq }) => [firstSeq, seq])).toEqual([
      [1n, 1n],
      [2n, 2n],
      [3n, 3n],
    ]);
    expect(lines.at(-1)?.body).toMatchObject({ value: { offset: 8n, text: "three " } });
  });

  it(`says that text was taken back, and goes on where the block goes on ${verifies("S3")}`, () => {
    const log = logOf(delta(0, "one two"), delta(4, "deux"), delta(8, " trois"));
    const { print, shown } = openPrinter();
    print(decode(log));
    expect(shown()).toBe("one two\n(the last 3 bytes of this text were taken back)\ndeux trois");
  });

  it("keeps blocks apart, and begins anew with a log that starts over", () => {
    const log = logOf(delta(0, "one "), delta(0, "uno ", "1.1.1"), delta(4, "two "), delta(4, "due ", "1.1.1"));
    const { printer, print, shown } = openPrinter();
    print(decode(log));
    expect(shown()).toBe("one uno two due ");
    printer.startOver();
    print(decode(log.slice(0, 1)));
    expect(shown()).toBe("one uno two due \none ");
  });

  it(`says where events of the log are gone, and why ${verifies("S5")}`, () => {
    const { print, shown } = openPrinter();
    print([fromBinary(EventSchema, trimmedHistory(40, 1_000).bytes)]);
    print(decode(logOf({ case: "logTruncated", value: { reason: "the disk lost its end" } })));
    expect(shown()).toBe(
      "(the first 40 events of this log are gone: retention removed them)\n" +
        "(events of this log are gone: the disk lost its end)\n",
    );
  });
});
