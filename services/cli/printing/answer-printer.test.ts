import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import type { EventBody } from "../../kernel/event/encode-event.ts";
import { mergeDeltas } from "../../kernel/event/merge-deltas.ts";
import { openOutput } from "../terminal/shown-output.fixture.ts";
import { AnswerPrinter } from "./answer-printer.ts";
import { decode, delta, logOf, resumeAt, stepsOf, textLog } from "./stored-log.fixture.ts";

function openPrinter(options: { isTerminal?: boolean; isPlain?: boolean } = {}) {
  const shown = openOutput({ isPlain: true, ...options });
  const printer = new AnswerPrinter(shown.output, false);
  const print = (events: readonly Event[]) => {
    for (const event of events) printer.print(event);
  };
  return { printer, print, ...shown };
}

const begin: EventBody = { case: "stepStarted", value: { model: "m" } };
const discard: EventBody = { case: "stepDiscarded", value: { step: 1, attempt: 1 } };
const finish: EventBody = { case: "runFinished", value: { status: RunStatus.COMPLETED } };

describe("printing an answer to a terminal", () => {
  it(`says the text of the log wherever streams break, in letters of any length ${verifies("S2", "S3")}`, () => {
    const letters = fc.constantFrom("a", "ä", "あ", "🌴", "👩", "\u200d👧", "❤", "\ufe0f", "word ");
    const pieces = fc.array(letters, { minLength: 2, maxLength: 30 });
    fc.assert(
      fc.property(pieces, fc.array(fc.tuple(fc.nat(29), fc.nat(29))), (texts, breaks) => {
        const log = textLog(texts);
        const { print, out } = openPrinter({ isTerminal: true });
        const whole = openPrinter({ isTerminal: true });
        whole.print(decode(textLog([texts.join("")])));
        let seq = 0;
        for (const [from, count] of breaks) {
          // A part of the log is merged by now, and the stream breaks after some of its events.
          const now = [...log.slice(0, from), ...mergeDeltas(log.slice(from))];
          const events = resumeAt(now, seq).slice(0, count % 5);
          print(events);
          seq = Number(events.at(-1)?.seq ?? seq);
        }
        print(resumeAt(log, seq));
        expect(out()).toBe(whole.out());
      }),
    );
  });

  it("shows text as it comes, and what is void on standard error", () => {
    const { print, out, err } = openPrinter({ isTerminal: true });
    print(
      decode(
        stepsOf([1, begin], [1, delta(0, "wrong")], [1, discard], [1, begin], [1, delta(0, "right")], [1, finish]),
      ),
    );
    expect(out()).toBe("wrong\nright");
    expect(err()).toBe("(what this step had shown is void; it is made again)\n");
  });

  it.each([
    ["colours where they are wanted", { isPlain: false }, true],
    ["no escape sequence where they are not", { isPlain: true }, false],
  ])(`has %s ${verifies("FP10")}`, (_what, options, hasColours) => {
    const { print, out, err } = openPrinter({ isTerminal: true, ...options });
    print(
      decode(logOf({ case: "thinkingDelta", value: { blockId: "1.1.0", offset: 0n, text: "hm" } }, discard, finish)),
    );
    expect(`${out()}${err()}`.includes("\u001b")).toBe(hasColours);
  });
});

describe("printing an answer to a pipe", () => {
  it(`prints no text of a step that is discarded, before or after the stream broke ${verifies("S8")}`, () => {
    const { print, out, err } = openPrinter();
    const log = stepsOf(
      [1, begin],
      [1, delta(0, "wrong, ", "1.1.0")],
      [1, delta(7, "all of it", "1.1.0")],
      [1, discard],
      [1, { case: "stepStarted", value: { model: "m" } }],
      [1, delta(0, "one ", "2.1.0")],
      [1, delta(4, "two", "2.1.0")],
    );
    print(decode(log.slice(0, 6)));
    print(resumeAt(mergeDeltas(log), 6));
    expect(out()).toBe("");
    print(decode(stepsOf([1, finish])));
    expect(out()).toBe("one two\n");
    expect(err()).toContain("void");
  });

  it("prints a step when the next one begins, each text once and on lines of its own", () => {
    const { print, out, err } = openPrinter();
    print(decode(stepsOf([1, begin], [1, delta(0, "I look.", "1.1.0")], [1, delta(0, "Now.", "1.1.1")], [2, begin])));
    expect(out()).toBe("I look.\nNow.\n");
    print(decode(stepsOf([2, delta(0, "Found.", "1.2.0")], [2, finish])));
    expect(out()).toBe("I look.\nNow.\nFound.\n");
    expect(err()).toBe("");
  });

  it(`takes text back without a trace ${verifies("S3")}`, () => {
    const { print, out } = openPrinter();
    print(decode(logOf(delta(0, "one two"), delta(4, "deux"), delta(8, " trois"), finish)));
    expect(out()).toBe("one deux trois\n");
  });

  it("prints no answer of a log that starts over twice", () => {
    const { printer, print, out } = openPrinter();
    print(decode(logOf(delta(0, "old"))));
    printer.startOver();
    print(decode(logOf(delta(0, "new"), finish)));
    expect(out()).toBe("new\n");
  });
});
