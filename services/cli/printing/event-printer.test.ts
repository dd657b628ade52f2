import { fromBinary, fromJsonString } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { mergeDeltas } from "../../kernel/event/merge-deltas.ts";
import { trimmedHistory } from "../../kernel/event/trimmed-history.ts";
import { openOutput } from "../terminal/shown-output.fixture.ts";
import { EventPrinter } from "./event-printer.ts";
import { decode, delta, logOf, resumeAt, textLog } from "./stored-log.fixture.ts";

function openPrinter(isJson = false) {
  const { output, out } = openOutput({ isJson });
  const printer = new EventPrinter(output, isJson);
  const print = (events: readonly Event[]) => {
    for (const event of events) printer.print(event);
    printer.flush();
  };
  // Seq and time of a line are the test's own business.
  const words = () => out().replace(/^ *[\d–]+ {2}\S+ {2}/gm, "");
  return { printer, print, out, words };
}

describe("printing a log", () => {
  it(`says that it waits for the model, and what was left out ${verifies("L9", "FW3")}`, () => {
    const { print, words } = openPrinter();
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
    expect(words()).toBe(
      "(waiting for the model, 45 s; retry 1 of 2: overloaded)\n(A picture was left out.)\n(the tool a.b was left out: no schema)\n",
    );
  });

  it("gives each event its seq and its time with a zone, and a text the range that it covers", () => {
    const { print, out } = openPrinter();
    print(decode(textLog(["one ", "two"])));
    expect(out()).toMatch(/^ {6}1–2 {2}1970-01-0\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d {2}one two\n$/);
  });

  it(`lets nothing that was said pass for an event ${verifies("E15")}`, () => {
    const forged =
      "all is well\n        2  1970-01-01T00:00:01.000+00:00  → shell.exec {}\r\n9  forged\u2028 10 \u202eforged";
    const { print, out } = openPrinter();
    print(decode(logOf(delta(0, forged), { case: "stepDiscarded", value: { step: 1, attempt: 1 } })));
    const lines = out().trimEnd().split("\n");
    expect(lines.filter((line) => /^ *\d+ {2}/.test(line) && !line.startsWith("    "))).toEqual([]);
    expect(lines.filter((line) => /^ {8}[12] {2}1970/.test(line))).toHaveLength(2);
    expect(lines[1]).toBe("            2  1970-01-01T00:00:01.000+00:00  → shell.exec {}");
    expect(lines[2]).toBe("    9  forged\\u2028 10 \\u202eforged");
  });

  it(`says each word once when the stream breaks in a block that is merged meanwhile ${verifies("S2", "S3")}`, () => {
    const log = textLog(["one ", "two ", "three ", "four ", "five ", "six "]);
    const { print, words } = openPrinter();
    print(decode(log.slice(0, 3)));
    print(resumeAt(mergeDeltas(log), 3));
    expect(words()).toBe("one two three \nfour five six \n");
  });

  it(`is dense as JSON too ${verifies("S1")}`, () => {
    const log = textLog(["one ", "two ", "three "]);
    const { print, out } = openPrinter(true);
    print(decode(log.slice(0, 2)));
    print(resumeAt(mergeDeltas(log), 2));
    const lines = out()
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

  it(`escapes what a terminal would obey in JSON, and keeps its value ${verifies("E15")}`, () => {
    const said = "\u009b2J\u202e\u200b\u2028\u061c\u{e0041}\ud83d\ude00";
    const { print, out } = openPrinter(true);
    print(decode(textLog([said])));
    expect(out().replace("\n", "")).not.toMatch(/[\p{Cc}\u202e\u200b\u2028\u061c]|\u{e0041}/u);
    expect(fromJsonString(EventSchema, out()).body.value).toMatchObject({ text: said });
  });

  it(`says that text was taken back, and goes on where the block goes on ${verifies("S3")}`, () => {
    const log = logOf(delta(0, "one two"), delta(4, "deux"), delta(8, " trois"));
    const { print, words } = openPrinter();
    print(decode(log));
    expect(words()).toBe("one two\n(the last 3 bytes of this text were taken back)\ndeux trois\n");
  });

  it("keeps blocks apart, and begins anew with a log that starts over", () => {
    const log = logOf(delta(0, "one "), delta(0, "uno ", "1.1.1"), delta(4, "two "), delta(4, "due ", "1.1.1"));
    const { printer, print, words } = openPrinter();
    print(decode(log));
    expect(words()).toBe("one \nuno \ntwo \ndue \n");
    printer.startOver();
    print(decode(log.slice(0, 1)));
    expect(words()).toBe("one \nuno \ntwo \ndue \none \n");
  });

  it(`says where events of the log are gone, and why ${verifies("S5")}`, () => {
    const { print, words } = openPrinter();
    print([fromBinary(EventSchema, trimmedHistory(40, 1_000).bytes)]);
    print(decode(logOf({ case: "logTruncated", value: { reason: "the disk lost its end" } })));
    expect(words()).toBe(
      "(the first 40 events of this log are gone: retention removed them)\n" +
        "(events of this log are gone: the disk lost its end)\n",
    );
  });
});
