import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { createFairTurns } from "./fair-turns.ts";

/** Costs of calls in milliseconds, on a clock that only they move. */
class Burst {
  nowMs = 0;
  readonly order: string[] = [];
  readonly turns = createFairTurns(() => this.nowMs);

  /** Begins now or in its turn, and takes `costMs` behind some promises, as a handler does. */
  async call(name: string, costMs: number, connection: object = this): Promise<void> {
    await this.turns.enter(name, connection);
    await Promise.resolve();
    await Promise.resolve();
    this.nowMs += costMs;
    this.order.push(name);
  }
}

const nextRound = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe(`calls of one burst ${verifies("F4")}`, () => {
  it("begin at once on a process that is not busy", async () => {
    const burst = new Burst();
    expect(burst.turns.enter("a", burst)).toBeUndefined();
    expect(burst.turns.enter("b", burst)).toBeUndefined();
    await nextRound();
    expect(burst.turns.enter("a", burst)).toBeUndefined();
  });

  it("let everything else of the process have its turn in between", async () => {
    const burst = new Burst();
    const rounds: number[] = [];
    let isOver = false;
    const others = (async () => {
      while (!isOver) {
        await nextRound();
        rounds.push(burst.nowMs);
      }
    })();
    for (let n = 0; n < 100; n++) {
      // One frame after the other, as the parser of a connection gives them.
      void burst.call("a", 7);
      for (let tick = 0; tick < 5; tick++) await Promise.resolve();
    }
    while (burst.order.length < 100) await nextRound();
    isOver = true;
    await others;
    const steps = rounds.map((ms, n) => ms - (rounds[n - 1] ?? 0));
    expect(burst.nowMs).toBe(700);
    // A turn ends with the call that spent it.
    expect(Math.max(...steps)).toBeLessThanOrEqual(2 * (8 + 7));
  });

  it("let whoever comes behind a thousand calls of another wait for a few", async () => {
    const burst = new Burst();
    const all: Promise<void>[] = [];
    for (let n = 0; n < 1_000; n++) {
      all.push(burst.call("flood", 5));
      for (let tick = 0; tick < 5; tick++) await Promise.resolve();
    }
    const begun = burst.order.length;
    all.push(burst.call("person", 1));
    await Promise.all(all);
    expect(burst.order.indexOf("person") - begun).toBeLessThanOrEqual(2);
    expect(burst.order).toHaveLength(1_001);
  });

  it("let the same caller's other connection wait for a few as well", async () => {
    const burst = new Burst();
    const all: Promise<void>[] = [];
    const last: number[] = [];
    const floods = Array.from({ length: 10 }, () => ({}));
    for (let n = 0; n < 1_000; n++) {
      all.push(burst.call("caller", 5, floods[n % 10]));
      for (let tick = 0; tick < 5; tick++) await Promise.resolve();
    }
    const begun = burst.order.length;
    all.push(burst.call("caller", 1, {}).then(() => void last.push(burst.order.length - begun)));
    await Promise.all(all);
    expect(last[0]).toBeLessThanOrEqual(12);
  });

  it("go on with whoever took little while others take much, again and again", async () => {
    const burst = new Burst();
    const all: Promise<void>[] = [];
    for (let n = 0; n < 500; n++) {
      all.push(burst.call("flood", 8));
      for (let tick = 0; tick < 5; tick++) await Promise.resolve();
    }
    for (let n = 0; n < 30; n++) {
      const before = burst.order.length;
      await burst.call("person", 0.3);
      expect(burst.order.length - before).toBeLessThanOrEqual(3);
    }
    await Promise.all(all);
    expect(burst.order).toHaveLength(530);
  });

  it("keep the order of each name", async () => {
    const burst = new Burst();
    const begun: string[] = [];
    const one = async (name: string, n: number): Promise<void> => {
      await burst.turns.enter(name, burst);
      begun.push(`${name}${n}`);
      burst.nowMs += 9;
    };
    await Promise.all(Array.from({ length: 30 }, (_, n) => one(n % 3 === 0 ? "b" : "a", n)));
    for (const name of ["a", "b"]) {
      const own = begun.filter((each) => each.startsWith(name)).map((each) => Number(each.slice(1)));
      expect(own).toEqual(own.toSorted((x, y) => x - y));
    }
    expect(begun).toHaveLength(30);
  });
});
