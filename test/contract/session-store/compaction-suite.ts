// The contract of SessionStore.compactLogs: fewer events that say the same and cover the same numbers.
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { encodeEvent } from "../../../services/kernel/event/encode-event.ts";
import type { StoredEvent } from "../../../services/kernel/event/stored-event.ts";
import type { RunRow } from "../../../services/session/store/rows.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";
import { verifies } from "../../requirements.ts";
import { append, batchOf, type SessionStoreDriver, StoreUnderTest, scope, startRun } from "./store-fixture.ts";

/** Writes deltas of one block that continue each other, and remembers what the block says. */
class Writer {
  readonly #store: SessionStore;
  readonly #run: RunRow;
  #batchNo = 0;
  text = "";

  constructor(store: SessionStore, run: RunRow) {
    this.#store = store;
    this.#run = run;
  }

  async deltas(...texts: readonly string[]): Promise<void> {
    const { runId } = this.#run;
    const events = texts.map((text) => {
      const offset = BigInt(Buffer.byteLength(this.text));
      this.text += text;
      return encodeEvent({
        runId,
        step: 1,
        attempt: 1,
        body: { case: "textDelta", value: { blockId: "1.1.0", offset, text } },
      });
    });
    await this.#append(events);
  }

  async phase(): Promise<void> {
    await this.#append([encodeEvent({ runId: this.#run.runId, body: { case: "phaseChanged", value: { phase: 1 } } })]);
  }

  /** The same writer on a store that was opened again. */
  on(store: SessionStore): Writer {
    const writer = new Writer(store, this.#run);
    writer.#batchNo = this.#batchNo;
    writer.text = this.text;
    return writer;
  }

  async #append(events: Uint8Array[]): Promise<void> {
    this.#batchNo += 1;
    await append(this.#store, batchOf(this.#run, this.#batchNo, { events }));
  }
}

/** Reads page by page; checks S1 from the cursor on. */
async function readFrom(
  store: SessionStore,
  sessionId: string,
  afterSeq: number,
  bounds: { readonly maxEvents: number; readonly maxBytes: number },
): Promise<StoredEvent[]> {
  const found: StoredEvent[] = [];
  let cursor = afterSeq;
  for (;;) {
    const page = await store.readEvents(scope, sessionId, { afterSeq: cursor, ...bounds });
    if (page.kind !== "page") throw new Error("the session is not there");
    for (const event of page.events) {
      // Only the first event of all may begin at or before the cursor (S2).
      if (found.length === 0) expect(event.firstSeq).toBeLessThanOrEqual(cursor + 1);
      else expect(event.firstSeq).toBe(cursor + 1);
      expect(event.seq).toBeGreaterThan(cursor);
      cursor = event.seq;
      found.push(event);
    }
    if (cursor >= page.headSeq) return found;
    expect(page.events.length).toBeGreaterThan(0);
  }
}

function textOf(events: readonly StoredEvent[], known = ""): string {
  let text = Buffer.from(known);
  for (const { bytes } of events) {
    const { body } = fromBinary(EventSchema, bytes);
    if (body.case !== "textDelta") continue;
    expect(Number(body.value.offset)).toBeLessThanOrEqual(text.length);
    text = Buffer.concat([text.subarray(0, Number(body.value.offset)), Buffer.from(body.value.text)]);
  }
  return text.toString();
}

const whole = { maxEvents: 100_000, maxBytes: 1e9 };

export function sessionCompactionSuite(driver: SessionStoreDriver): void {
  describe(`compaction ${verifies("S1", "S3")}`, () => {
    const under = new StoreUnderTest(driver);

    it("merges the deltas of windows that the head has passed, and no others", async () => {
      const { store } = under;
      const { run } = await startRun(store);
      const writer = new Writer(store, run);
      // Three events come before: the message, the queued and the started run.
      for (let batch = 0; batch < 100; batch++) await writer.deltas("a", "b", "c", "d", "e", "f");
      expect(await store.compactLogs({ maxWindows: 10 })).toEqual({
        windows: 2,
        eventsBefore: 512,
        eventsAfter: 5,
        damaged: [],
      });
      const events = await readFrom(store, run.sessionId, 0, whole);
      expect(events.slice(0, 6).map(({ firstSeq, seq }) => [firstSeq, seq])).toEqual([
        [1, 1],
        [2, 2],
        [3, 3],
        [4, 256],
        [257, 512],
        [513, 513],
      ]);
      expect(textOf(events)).toBe(writer.text);
      expect(await store.compactLogs({ maxWindows: 10 })).toEqual({
        windows: 0,
        eventsBefore: 0,
        eventsAfter: 0,
        damaged: [],
      });
    });

    it("replaces no more windows at once than it is told", async () => {
      const { store } = under;
      const { run } = await startRun(store);
      const writer = new Writer(store, run);
      for (let batch = 0; batch < 20; batch++) await writer.deltas(...Array.from({ length: 64 }, () => "x"));
      expect(await store.compactLogs({ maxWindows: 3 })).toMatchObject({ windows: 3 });
      expect(await store.compactLogs({ maxWindows: 3 })).toMatchObject({ windows: 2 });
      expect(textOf(await readFrom(store, run.sessionId, 0, whole))).toBe(writer.text);
    });

    it("counts the bytes of a log as they are", async () => {
      const { store } = under;
      const { run } = await startRun(store);
      const writer = new Writer(store, run);
      for (let batch = 0; batch < 20; batch++) await writer.deltas(...Array.from({ length: 32 }, () => "word "));
      const size = async () => (await store.getSession(scope, { sessionId: run.sessionId }))?.logBytes ?? 0;
      const before = await size();
      await store.compactLogs({ maxWindows: 100 });
      const after = await size();
      expect(after).toBeLessThan(before / 2);
      expect(after).toBeGreaterThan(writer.text.length);
    });

    it(`answers every cursor with the same text, also inside a merged range ${verifies("S2")}`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.oneof(
              fc.record({ kind: fc.constant("deltas" as const), count: fc.integer({ min: 1, max: 90 }) }),
              fc.record({ kind: fc.constant("phase" as const) }),
              fc.record({ kind: fc.constant("compact" as const), windows: fc.integer({ min: 1, max: 3 }) }),
              fc.record({ kind: fc.constant("reopen" as const) }),
            ),
            { minLength: 4, maxLength: 24 },
          ),
          fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 40 })), {
            minLength: 3,
            maxLength: 6,
          }),
          async (steps, cursors) => {
            const { run } = await startRun(under.store);
            let writer = new Writer(under.store, run);
            /** The text of the block when the log's head was this seq. */
            const textAt: string[] = ["", "", "", ""];
            for (const step of steps) {
              switch (step.kind) {
                case "deltas": {
                  const texts = Array.from({ length: step.count }, (_, index) => (index % 7 === 0 ? "ü🚤" : "ab"));
                  for (const [index] of texts.entries()) textAt.push(writer.text + texts.slice(0, index + 1).join(""));
                  await writer.deltas(...texts);
                  break;
                }
                case "phase":
                  textAt.push(writer.text);
                  await writer.phase();
                  break;
                case "compact":
                  await under.store.compactLogs({ maxWindows: step.windows });
                  break;
                case "reopen":
                  await under.reopen();
                  writer = writer.on(under.store);
                  break;
              }
            }
            const headSeq = textAt.length - 1;
            for (const [share, maxEvents] of cursors) {
              const afterSeq = Math.floor(share * headSeq);
              const events = await readFrom(under.store, run.sessionId, afterSeq, { maxEvents, maxBytes: 4_096 });
              expect(textOf(events, textAt[afterSeq])).toBe(writer.text);
            }
          },
        ),
        { numRuns: 60 },
      );
    });
  });
}
