import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { type Clock, systemClock } from "../clock.ts";
import { bytesLeftBehind } from "../collect-garbage.fixture.ts";
import type { StoredEvent } from "../event/stored-event.ts";
import { type LogSlice, type TailSource, tailLog } from "./tail-log.ts";

const event = (firstSeq: number, seq = firstSeq): StoredEvent => ({
  firstSeq,
  seq,
  bytes: new Uint8Array([seq % 256]),
});

/** A log in memory, whose hints a test sends, loses or repeats as it likes. */
class FakeLog {
  readonly events: StoredEvent[] = [];
  readonly listeners = new Set<(slice: LogSlice) => void>();
  reads = 0;
  readonly pageEvents: number;

  constructor(count = 0, pageEvents = 1_000) {
    this.pageEvents = pageEvents;
    for (let i = 0; i < count; i++) this.commit();
  }

  get headSeq(): number {
    return this.events.at(-1)?.seq ?? 0;
  }

  commit(): StoredEvent {
    const next = event(this.headSeq + 1);
    this.events.push(next);
    return next;
  }

  hint(events: readonly StoredEvent[]): void {
    for (const listener of this.listeners) listener({ logId: "log", events, headSeq: this.headSeq });
  }

  source(deliveredSeq?: () => number): TailSource {
    return {
      read: async (afterSeq) => {
        this.reads += 1;
        const events = this.events.filter(({ seq }) => seq > afterSeq).slice(0, this.pageEvents);
        return { logId: "log", events, headSeq: this.headSeq };
      },
      subscribe: (_, listener) => {
        this.listeners.add(listener);
        return { deliveredSeq: deliveredSeq?.(), unsubscribe: () => void this.listeners.delete(listener) };
      },
    };
  }
}

function follow(log: FakeLog, afterSeq = 0, options: { progressIntervalMs?: number; source?: TailSource } = {}) {
  const control = new AbortController();
  const { progressIntervalMs = 15_000, source = log.source() } = options;
  const tail = tailLog({ source, afterSeq, clock: systemClock, signal: control.signal, progressIntervalMs });
  return { control, tail };
}

/** Reads until the seq was given; checks S1 on the way. */
async function readUntil(tail: AsyncGenerator<LogSlice>, afterSeq: number, seq: number): Promise<number[]> {
  const seen: number[] = [];
  let cursor = afterSeq;
  while (cursor < seq) {
    const next = await tail.next();
    if (next.done === true) throw new Error(`the tail ended at ${cursor}`);
    for (const each of next.value.events) {
      expect(each.firstSeq).toBeLessThanOrEqual(cursor + 1);
      expect(each.seq).toBeGreaterThan(cursor);
      cursor = each.seq;
      seen.push(each.seq);
    }
  }
  return seen;
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

describe("following a log", () => {
  it(`gives what is there after the cursor, page by page, then what comes ${verifies("S1", "S2")}`, async () => {
    const log = new FakeLog(7, 3);
    const { tail, control } = follow(log, 2);
    expect(await readUntil(tail, 2, 7)).toEqual([3, 4, 5, 6, 7]);
    const more = readUntil(tail, 7, 9);
    await settled();
    log.hint([log.commit(), log.commit()]);
    expect(await more).toEqual([8, 9]);
    control.abort();
    expect((await tail.next()).done).toBe(true);
    expect(log.listeners.size).toBe(0);
  });

  it("says at once that it is connected, also when there is nothing yet", async () => {
    const { tail, control } = follow(new FakeLog());
    expect((await tail.next()).value).toMatchObject({ logId: "log", events: [] });
    control.abort();
  });

  it(`uses a hint that fits without reading the log ${verifies("L3")}`, async () => {
    const log = new FakeLog(2);
    const { tail, control } = follow(log, 0, { source: log.source(() => 0) });
    await readUntil(tail, 0, 2);
    const pending = readUntil(tail, 2, 3);
    await settled();
    const before = log.reads;
    log.hint([log.commit()]);
    await pending;
    expect(log.reads).toBe(before);
    control.abort();
  });

  it(`reads the log where a hint was lost ${verifies("L3")}`, async () => {
    const log = new FakeLog(1);
    const { tail, control } = follow(log);
    await readUntil(tail, 0, 1);
    const pending = readUntil(tail, 1, 3);
    await settled();
    log.commit();
    log.hint([log.commit()]);
    expect(await pending).toEqual([2, 3]);
    control.abort();
  });

  it(`finds on silence what no hint told ${verifies("L3")}`, async () => {
    const log = new FakeLog(1);
    const { tail, control } = follow(log);
    await readUntil(tail, 0, 1);
    log.commit();
    expect(await readUntil(tail, 1, 2)).toEqual([2]);
    control.abort();
  });

  it("reads what the feed had delivered before it joined", async () => {
    const log = new FakeLog(1);
    const source = log.source(() => 3);
    const { tail, control } = follow(log, 1, { source });
    expect((await tail.next()).value).toMatchObject({ events: [] });
    log.commit();
    log.commit();
    expect(await readUntil(tail, 1, 3)).toEqual([2, 3]);
    control.abort();
  });

  it(`takes an event that begins at or before its cursor ${verifies("S2")}`, async () => {
    const log = new FakeLog(4);
    const { tail, control } = follow(log, 4);
    await tail.next();
    const pending = readUntil(tail, 4, 6);
    await settled();
    log.events.push(event(5, 6));
    log.hint([event(3, 6)]);
    expect(await pending).toEqual([6]);
    control.abort();
  });

  it(`keeps no more than its bound of hints, and misses nothing ${verifies("L7", "S1")}`, async () => {
    const log = new FakeLog(1);
    const { tail, control } = follow(log);
    await readUntil(tail, 0, 1);
    const live = readUntil(tail, 1, 2);
    await settled();
    log.hint([log.commit()]);
    await live;
    for (let i = 0; i < 2_000; i++) log.hint([log.commit()]);
    expect((await readUntil(tail, 2, 2_002)).at(-1)).toBe(2_002);
    control.abort();
  });

  it("hands on the hints that came before word that the log is gone, and then reads it", async () => {
    const log = new FakeLog(1);
    const gone = new Error("gone");
    let isGone = false;
    const source: TailSource = {
      ...log.source(() => 0),
      read: (afterSeq) => (isGone ? Promise.reject(gone) : log.source().read(afterSeq)),
    };
    const clock = { ...systemClock, setTimer: () => ({ cancel: () => undefined }) };
    const { signal } = new AbortController();
    const tail = tailLog({ source, afterSeq: 0, clock, signal, progressIntervalMs: 15_000 });
    await readUntil(tail, 0, 1);
    const next = tail.next();
    await settled();
    log.hint([log.commit()]);
    isGone = true;
    log.hint([]);
    expect((await next).value).toMatchObject({ events: [{ seq: 2 }] });
    // No timer fires here: what it was told is enough.
    await expect(tail.next()).rejects.toBe(gone);
  });

  it("gives a sign of life on silence", async () => {
    const log = new FakeLog(1);
    const { tail, control } = follow(log, 0, { progressIntervalMs: 40 });
    await readUntil(tail, 0, 1);
    expect((await tail.next()).value).toMatchObject({ events: [], headSeq: 1 });
    control.abort();
  });

  it(`costs nothing while nothing comes ${verifies("L7")}`, async () => {
    let looks = 0;
    const hurried: Clock = {
      ...systemClock,
      setTimer(_ms, fn) {
        looks += 1;
        const due = setImmediate(fn);
        return { cancel: () => clearImmediate(due) };
      },
    };
    const control = new AbortController();
    const source: TailSource = {
      read: async () => ({ logId: "log", events: [], headSeq: 0 }),
      subscribe: () => ({ deliveredSeq: undefined, unsubscribe: () => undefined }),
    };
    const tail = tailLog({
      source,
      afterSeq: 0,
      clock: hurried,
      signal: control.signal,
      progressIntervalMs: 15_000,
    });
    const lookOften = async (count: number): Promise<void> => {
      for (const until = looks + count; looks < until; ) await tail.next();
    };
    expect(await bytesLeftBehind(20_000, lookOften)).toBeLessThan(100);
    control.abort();
  });

  it(`is dense and whole whatever becomes of the hints ${verifies("S1", "L3")}`, async () => {
    const step = fc.record({
      commits: fc.integer({ min: 1, max: 4 }),
      hint: fc.constantFrom("sent", "lost", "twice", "late", "reversed"),
      pause: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        async (steps, page) => {
          const log = new FakeLog(2, page);
          const { tail, control } = follow(log);
          const total = steps.reduce((sum, { commits }) => sum + commits, 2);
          const reading = readUntil(tail, 0, total);
          let late: StoredEvent[] = [];
          for (const { commits, hint, pause } of steps) {
            const events = Array.from({ length: commits }, () => log.commit());
            if (hint === "sent" || hint === "twice") log.hint(events);
            if (hint === "twice") log.hint(events);
            if (hint === "reversed") for (const each of events.toReversed()) log.hint([each]);
            if (late.length > 0) log.hint(late);
            late = hint === "late" ? events : [];
            if (pause) await new Promise((resolve) => setImmediate(resolve));
          }
          // The last hint always comes, so that the property need not wait for the look on silence.
          log.hint([...log.events.slice(-1)]);
          expect(await reading).toEqual(Array.from({ length: total }, (_, index) => index + 1));
          control.abort();
        },
      ),
      { numRuns: 300 },
    );
  });
});
