import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import type { Clock } from "../../clock.ts";
import { Redial } from "./redial.ts";

/** A clock whose sleeps take no time and are written down. */
function recordingClock(): { readonly clock: Clock; readonly waits: number[] } {
  const waits: number[] = [];
  let nowMs = 0;
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      waits.push(ms);
      nowMs += ms;
    },
    setTimer: () => expect.fail("nothing is timed here"),
  };
  return { clock, waits };
}

const stay = new AbortController().signal;

describe("dialling again", () => {
  it(`waits at most half a second in the first minute, then up to five ${verifies("L7")}`, async () => {
    const { clock, waits } = recordingClock();
    const redial = new Redial(clock, () => 1);
    while (clock.monotonicMs() < 120_000) await redial.wait(stay);
    expect(waits.slice(0, 6)).toEqual([50, 100, 200, 400, 500, 500]);
    const minute = waits.findIndex((_, index) => waits.slice(0, index).reduce((sum, ms) => sum + ms, 0) >= 60_000);
    expect(Math.max(...waits.slice(0, minute))).toBe(500);
    expect(waits.at(-1)).toBe(5_000);
  });

  it("begins anew when the other side was reached", async () => {
    const { clock, waits } = recordingClock();
    const redial = new Redial(clock, () => 1);
    for (let tries = 0; tries < 200; tries++) await redial.wait(stay);
    redial.reached();
    await redial.wait(stay);
    expect(waits.at(-1)).toBe(50);
  });

  it("waits any part of that, so that many do not come back in step", async () => {
    const { clock, waits } = recordingClock();
    const parts = [0, 0.5, 0.25];
    const redial = new Redial(clock, () => parts[waits.length] ?? 0);
    for (const _ of parts) await redial.wait(stay);
    expect(waits).toEqual([0, 50, 50]);
  });

  it("is left as soon as nobody waits any more", async () => {
    const control = new AbortController();
    control.abort(new Error("left"));
    await expect(new Redial(recordingClock().clock).wait(control.signal)).rejects.toThrow("left");
  });
});
