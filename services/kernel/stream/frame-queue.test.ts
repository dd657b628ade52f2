import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { FrameQueue } from "./frame-queue.ts";

const tick = () => new Promise((resolve) => setImmediate(resolve));

describe("a queue of frames", () => {
  it("gives frames in order, then the end", async () => {
    const queue = new FrameQueue<number>();
    for (const frame of [1, 2, 3]) await queue.push(frame);
    queue.end();
    expect(queue.offer(4)).toBe(false);
    expect(await Array.fromAsync(queue)).toEqual([1, 2, 3]);
  });

  it(`makes a writer wait that is ahead of the reader ${verifies("L7")}`, async () => {
    const queue = new FrameQueue<number>(2);
    let written = 0;
    const writing = (async () => {
      for (let frame = 1; frame <= 5; frame++) if (await queue.push(frame)) written += 1;
    })();
    await tick();
    expect(written).toBe(2);
    const reader = queue[Symbol.asyncIterator]();
    const taken: (number | undefined)[] = [];
    for (let i = 0; i < 5; i++) taken.push((await reader.next()).value as number);
    await writing;
    expect(taken).toEqual([1, 2, 3, 4, 5]);
  });

  it("gives what is there before the error that ended it", async () => {
    const queue = new FrameQueue<number>();
    queue.offer(1);
    queue.end(new Error("broken"));
    const seen: number[] = [];
    const reading = (async () => {
      for await (const frame of queue) seen.push(frame);
    })();
    await expect(reading).rejects.toThrow("broken");
    expect(seen).toEqual([1]);
  });

  it("frees its writers when the reader leaves", async () => {
    const queue = new FrameQueue<number>(1);
    await queue.push(1);
    const waiting = [2, 3, 4].map((frame) => queue.push(frame));
    for await (const frame of queue) if (frame === 1) break;
    expect((await Promise.all(waiting)).at(-1)).toBe(false);
  });

  it("lets writers that wait go on in the order in which they came", async () => {
    const queue = new FrameQueue<number>(2);
    const writing = Array.from({ length: 50 }, (_, frame) => queue.push(frame));
    const taken: number[] = [];
    for await (const frame of queue) {
      taken.push(frame);
      if (taken.length === writing.length) break;
    }
    expect(taken).toEqual(Array.from({ length: 50 }, (_, frame) => frame));
    expect(new Set(await Promise.all(writing))).toEqual(new Set([true]));
  });
});
