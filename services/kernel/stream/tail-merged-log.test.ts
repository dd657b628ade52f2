// A tail whose log is compacted under it: what was several deltas when one was read is one delta afterwards.
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { systemClock } from "../clock.ts";
import { encodeEvent } from "../event/encode-event.ts";
import { mergeDeltas } from "../event/merge-deltas.ts";
import type { StoredEvent } from "../event/stored-event.ts";
import { stampEvents } from "../event/wire/stamp-events.fixture.ts";
import { type LogSlice, tailLog } from "./tail-log.ts";

/** One block's text, as a log that is compacted now and then. */
class MergedLog {
  events: readonly StoredEvent[] = [];
  text = "";
  headSeq = 0;
  private readonly listeners = new Set<(slice: LogSlice) => void>();

  commit(text: string): readonly StoredEvent[] {
    const offset = BigInt(Buffer.byteLength(this.text));
    const body = { case: "textDelta", value: { blockId: "1.1.0", offset, text } } as const;
    const added = stampEvents([encodeEvent({ runId: "run_1", step: 1, attempt: 1, body })], this.headSeq, 0);
    this.text += text;
    this.headSeq += 1;
    this.events = [...this.events, ...added];
    return added;
  }

  compact(throughSeq: number): void {
    const isOld = ({ seq }: StoredEvent): boolean => seq <= throughSeq;
    this.events = [...mergeDeltas(this.events.filter(isOld)), ...this.events.filter((event) => !isOld(event))];
  }

  hint(events: readonly StoredEvent[]): void {
    for (const listener of this.listeners) listener({ logId: "log", events, headSeq: this.headSeq });
  }

  follow(afterSeq: number, signal: AbortSignal, pageEvents: number): AsyncGenerator<LogSlice> {
    return tailLog({
      afterSeq,
      clock: systemClock,
      signal,
      progressIntervalMs: 15_000,
      source: {
        read: async (after) => ({
          logId: "log",
          events: this.events.filter(({ seq }) => seq > after).slice(0, pageEvents),
          headSeq: this.headSeq,
        }),
        subscribe: (_, listener) => {
          this.listeners.add(listener);
          return { deliveredSeq: undefined, unsubscribe: () => void this.listeners.delete(listener) };
        },
      },
    });
  }
}

const step = fc.record({
  text: fc.string({ unit: "grapheme", maxLength: 4 }),
  compact: fc.nat({ max: 30 }),
  hint: fc.constantFrom("sent", "lost", "merged"),
  pause: fc.boolean(),
});

describe("following a log that is compacted meanwhile", () => {
  it(`gives each number once but for what the first event may repeat, and the same text ${verifies("S1", "S2", "S3")}`, async () => {
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 25 }),
      fc.nat({ max: 8 }),
      fc.nat({ max: 8 }),
      fc.integer({ min: 1, max: 4 }),
      async (steps, before, from, pageEvents) => {
        const log = new MergedLog();
        for (let index = 0; index < before; index++) log.commit(`${index},`);
        const afterSeq = Math.min(from, before);
        const known = log.events.slice(0, afterSeq);
        log.compact(before - 1);
        const control = new AbortController();
        const total = before + steps.length;
        const reading = readThrough(log.follow(afterSeq, control.signal, pageEvents), afterSeq, total);
        for (const { text, compact, hint, pause } of steps) {
          const added = log.commit(text);
          if (hint === "sent") log.hint(added);
          log.compact(compact);
          if (hint === "merged") log.hint(log.events.slice(-2));
          if (pause) await new Promise((resolve) => setImmediate(resolve));
        }
        // The last hint always comes, so that the property need not wait for the look on silence.
        log.hint(log.events.slice(-1));
        const read = await reading;
        control.abort();
        const next = read.slice(1).map(({ firstSeq }) => firstSeq);
        expect(next).toEqual(read.slice(0, -1).map(({ seq }) => seq + 1));
        expect(read.at(-1)?.seq).toBe(total);
        expect(textOf([...known, ...read])).toBe(log.text);
      },
    );
    await fc.assert(property, { numRuns: 300 });
  });
});

async function readThrough(tail: AsyncGenerator<LogSlice>, afterSeq: number, seq: number): Promise<StoredEvent[]> {
  const read: StoredEvent[] = [];
  while ((read.at(-1)?.seq ?? afterSeq) < seq) {
    const next = await tail.next();
    if (next.done === true) throw new Error(`the tail ended after ${read.length} events`);
    read.push(...next.value.events);
  }
  return read;
}

/** The rule of S3, as it is written: truncate to the offset, then append. */
function textOf(events: readonly StoredEvent[]): string {
  let text = Buffer.alloc(0);
  for (const { bytes } of events) {
    const { body } = fromBinary(EventSchema, bytes);
    if (body.case !== "textDelta") continue;
    const offset = Number(body.value.offset);
    expect(offset).toBeLessThanOrEqual(text.length);
    text = Buffer.concat([text.subarray(0, offset), Buffer.from(body.value.text)]);
  }
  return text.toString();
}
