import { describe, expect, it } from "vitest";
import { takeTurns } from "./take-turns.ts";

/** Chunks that are always ready. */
async function* ready(onLeave: (how: unknown) => void = () => undefined): AsyncGenerator<number> {
  let how: unknown = "returned";
  try {
    for (let at = 0; ; at += 1) yield at;
  } catch (error) {
    how = error;
  } finally {
    onLeave(how);
  }
}

describe("an answer that is always ready", () => {
  it.each([1, 3])("lets whatever waits have its turn, %i answers at once", async (answers) => {
    let isServed = false;
    setTimeout(() => {
      isServed = true;
    }, 1);
    const read = async (): Promise<void> => {
      for await (const _ of takeTurns(ready())) if (isServed) break;
    };
    await Promise.all(Array.from({ length: answers }, read));
    expect(isServed).toBe(true);
  });

  it("is the same chunks in the same order, and ends where they end", async () => {
    const read: number[] = [];
    for await (const chunk of takeTurns(ready())) {
      read.push(chunk);
      if (chunk === 50_000) break;
    }
    expect(read).toEqual(Array.from({ length: 50_001 }, (_, at) => at));
    for await (const _ of takeTurns((async function* () {})())) throw new Error("there is no chunk");
  });

  it("is told when its reader leaves, and why", async () => {
    const ends: unknown[] = [];
    for await (const _ of takeTurns(ready((how) => ends.push(how)))) break;
    const thrown = takeTurns(ready((how) => ends.push(how)))[Symbol.asyncIterator]();
    await thrown.next();
    const broken = new Error("the write failed");
    await thrown.throw?.(broken);
    expect(ends).toEqual(["returned", broken]);
  });
});
