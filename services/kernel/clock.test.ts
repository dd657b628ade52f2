import { describe, expect, it } from "vitest";
import { verifies } from "../../test/requirements.ts";
import { longestWaitMs, systemClock } from "./clock.ts";

describe("systemClock", () => {
  it("sleeps at least as long as it was told", async () => {
    const before = systemClock.monotonicMs();
    await systemClock.sleep(20);
    expect(systemClock.monotonicMs() - before).toBeGreaterThanOrEqual(19);
  });

  it("ends a sleep with the signal's reason, before and during it", async () => {
    const reason = new Error("stop");
    await expect(systemClock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const sleeping = systemClock.sleep(60_000, controller.signal);
    controller.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
  });

  it("does not fire a cancelled timer", async () => {
    const fired: string[] = [];
    const cancelled = systemClock.setTimer(1, () => fired.push("cancelled"));
    systemClock.setTimer(5, () => fired.push("kept"));
    cancelled.cancel();
    cancelled.cancel();
    await systemClock.sleep(30);
    expect(fired).toEqual(["kept"]);
  });

  it.each([-1, Number.NaN])("refuses a wait that is none: %d ms", async (ms) => {
    expect(() => systemClock.setTimer(ms, () => {})).toThrow(RangeError);
    await expect(systemClock.sleep(ms)).rejects.toThrow(RangeError);
  });

  it.each([longestWaitMs + 1, 2 ** 32, 9_999_999_999, Number.POSITIVE_INFINITY])(
    `cuts a wait that the platform would end at once to one that it keeps: %d ms ${verifies("FE1")}`,
    async (ms) => {
      let fired = 0;
      const timer = systemClock.setTimer(ms, () => {
        fired += 1;
      });
      await systemClock.sleep(50);
      timer.cancel();
      expect(fired).toBe(0);
    },
  );
});
