import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { applyEvents, createFold } from "../../../web/client/fold/fold-events.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { mergeDeltas } from "../../kernel/event/merge-deltas.ts";
import type { StoredEvent } from "../../kernel/event/stored-event.ts";
import { stampEvents } from "../../kernel/event/wire/stamp-events.fixture.ts";
import { LogBroken, readWholeLog } from "./read-whole-log.ts";

/** A log of deltas of one block, with other events where a text is empty. */
function logOf(texts: readonly string[]): readonly StoredEvent[] {
  let offset = 0;
  const encoded = texts.map((text) => {
    if (text === "") return encodeEvent({ body: { case: "phaseChanged", value: {} } });
    const event = encodeEvent({
      runId: "run_1",
      body: { case: "textDelta", value: { blockId: "1", offset: BigInt(offset), text } },
    });
    offset += Buffer.byteLength(text);
    return event;
  });
  return stampEvents(encoded, 0, 1_000);
}

const decode = (events: readonly StoredEvent[]) => events.map(({ bytes }) => fromBinary(EventSchema, bytes));

/** Gives the pages; what follows a cursor of the log as it is then, as GetSnapshot does. */
function serve(pages: readonly (readonly Event[])[], headSeq: number) {
  let next = 0;
  const getSnapshot = async ({ pageToken }: { pageToken?: string }) => {
    expect(pageToken).toBe(next === 0 ? "" : String(next));
    const events = pages[next++] ?? [];
    return { events, headSeq: BigInt(headSeq), nextPageToken: next < pages.length ? String(next) : "" };
  };
  return { getSnapshot: getSnapshot as never };
}

async function readAll(client: Parameters<typeof readWholeLog>[0]): Promise<Event[]> {
  const events: Event[] = [];
  for await (const page of readWholeLog(client, "ses_1")) events.push(...page);
  return events;
}

describe("reading a whole log", () => {
  it(`is dense and says the same, also when the log is merged between two pages ${verifies("S1", "S3")}`, async () => {
    const texts = fc.array(fc.constantFrom("a", "ä", "🌴", "word ", ""), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(
        texts,
        fc.array(fc.integer({ min: 1, max: 29 })),
        fc.array(fc.boolean()),
        async (all, cuts, merges) => {
          const log = logOf(all);
          const merged = mergeDeltas(log);
          const borders = [...new Set(cuts)].filter((cut) => cut < log.length).sort((a, b) => a - b);
          // Each page holds what lies behind the one before, as the log is when it is asked for.
          const pages = [0, ...borders].map((from, index) => {
            const to = borders[index] ?? log.length;
            const source = merges[index] === true ? merged : log;
            return decode(source.filter(({ firstSeq, seq }) => seq > from && firstSeq <= to));
          });
          // A merged event may reach past its page: what the next ones hold of it is there already.
          let last = 0n;
          const served = pages.map((page) => {
            const rest = page.filter(({ seq }) => seq > last);
            last = rest.at(-1)?.seq ?? last;
            return rest;
          });
          const events = await readAll(serve(served, log.length));
          let seq = 0n;
          for (const event of events) {
            expect(event.firstSeq).toBe(seq + 1n);
            seq = event.seq;
          }
          expect(seq).toBe(BigInt(log.length));
          // The fold refuses what is not dense or does not fit its block.
          const textOf = (list: readonly Event[]) =>
            JSON.stringify(applyEvents(createFold(), list).turns, (key, value: unknown) =>
              key === "lastSeq" || typeof value === "bigint" ? undefined : value,
            );
          expect(textOf(events)).toBe(textOf(decode(log)));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("says so when events are missing, come again, or the log ends before its head", async () => {
    const log = decode(logOf(["a", "", "b", "c"]));
    const broken = (pages: readonly (readonly Event[])[]) =>
      expect(readAll(serve(pages, log.length))).rejects.toThrow(LogBroken);
    await broken([log.slice(1)]);
    await broken([log.slice(0, 2), log.slice(3)]);
    await broken([log.slice(0, 2), log.slice(1)]);
    await broken([log.slice(0, 3)]);
    await broken([[]]);
  });

  it("of an empty log is nothing", async () => {
    expect(await readAll(serve([[]], 0))).toEqual([]);
  });
});
