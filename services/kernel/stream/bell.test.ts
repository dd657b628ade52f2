import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { bytesLeftBehind } from "../collect-garbage.fixture.ts";
import { type ManualClock, manualClock } from "../manual-clock.fixture.ts";
import { Bell } from "./bell.ts";

/** A clock whose timers fire as soon as nothing else is to do. */
const hurriedClock = (): ManualClock => ({
  ...manualClock(),
  setTimer(_ms, fn) {
    const due = setImmediate(fn);
    return { cancel: () => clearImmediate(due) };
  },
});

describe("a bell", () => {
  it("ends a wait when it is rung, and when its time is over", async () => {
    const clock = manualClock();
    const bell = new Bell(clock);
    const first = bell.wait(100);
    bell.ring();
    expect(await first).toBe("rung");
    const second = bell.wait(100);
    clock.advance(100);
    expect(await second).toBe("silent");
  });

  it("loses nothing that was rung while nobody waited, however often", async () => {
    const clock = manualClock();
    const bell = new Bell(clock);
    bell.ring();
    bell.ring();
    expect(await bell.wait(100)).toBe("rung");
    const next = bell.wait(100);
    clock.advance(100);
    // Between the end of the wait and the one who waited.
    bell.ring();
    expect(await next).toBe("silent");
    expect(await bell.wait(100)).toBe("rung");
  });

  it("leaves no timer of a wait behind that was rung", async () => {
    const clock = manualClock();
    const bell = new Bell(clock);
    const first = bell.wait(100);
    bell.ring();
    await first;
    const second = bell.wait(1_000);
    clock.advance(500);
    bell.ring();
    expect(await second).toBe("rung");
  });

  it(`costs nothing while nobody rings ${verifies("L7")}`, async () => {
    const bell = new Bell(hurriedClock());
    const wait = async (count: number): Promise<void> => {
      for (let round = 0; round < count; round++) await bell.wait(1);
    };
    expect(await bytesLeftBehind(20_000, wait)).toBeLessThan(100);
  });
});
