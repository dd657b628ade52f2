import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { manualClock } from "../../kernel/manual-clock.fixture.ts";
import { InboundMeter } from "./inbound-meter.ts";

const MiB = 1024 * 1024;

describe(`what a server may say unasked ${verifies("E10", "L7")}`, () => {
  it("is a burst of 5 s, then its pace, for ever", () => {
    const clock = manualClock();
    const meter = new InboundMeter(clock);
    for (let n = 0; n < 5000; n++) meter.countMessage();
    meter.countBytes(160 * MiB);
    expect([meter.pauseMs, meter.problem]).toEqual([0, undefined]);
    for (let second = 0; second < 60; second++) {
      clock.advance(1000);
      for (let n = 0; n < 1000; n++) meter.countMessage();
      meter.countBytes(32 * MiB);
      expect([meter.pauseMs, meter.problem]).toEqual([0, undefined]);
    }
  });

  it("is read more slowly beyond that", () => {
    const clock = manualClock();
    const meter = new InboundMeter(clock);
    for (let n = 0; n < 5500; n++) meter.countMessage();
    expect(meter.pauseMs).toBe(500);
    expect(meter.problem).toBeUndefined();
    const bytes = new InboundMeter(clock);
    bytes.countBytes(176 * MiB);
    expect(bytes.pauseMs).toBe(500);
  });

  it.each([
    [
      "messages",
      (meter: InboundMeter, times: number) => Array.from({ length: times * 2000 }, () => meter.countMessage()),
    ],
    ["bytes", (meter: InboundMeter, times: number) => meter.countBytes(times * 64 * MiB)],
  ])("ends a server that keeps it up for 5 s: %s", (what, say) => {
    const clock = manualClock();
    const meter = new InboundMeter(clock);
    let seconds = 0;
    for (; meter.problem === undefined && seconds < 60; seconds++) {
      say(meter, 1);
      clock.advance(1000);
    }
    // 4 s until the burst is used up, then 5 s at twice the pace.
    expect(seconds).toBe(10);
    expect(meter.problem).toContain(`${what} a second that nobody asked for`);
    const atOnce = new InboundMeter(clock);
    say(atOnce, 6);
    expect(atOnce.problem).toBeDefined();
  });

  it("forgets a flood that ended, and does not count what was asked for", () => {
    const clock = manualClock();
    const meter = new InboundMeter(clock);
    for (let n = 0; n < 9000; n++) meter.countMessage();
    clock.advance(6000);
    meter.countMessage();
    clock.advance(10_000);
    meter.countMessage();
    expect([meter.pauseMs, meter.problem]).toEqual([0, undefined]);
    for (let n = 0; n < 100; n++) {
      meter.countMessage();
      meter.countBytes(16 * MiB);
      meter.forgive(16 * MiB);
    }
    expect([meter.pauseMs, meter.problem]).toEqual([0, undefined]);
  });
});
