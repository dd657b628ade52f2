import { describe, expect, it } from "vitest";
import { zoneOffset } from "./zone-offset.ts";

const hourMs = 3_600_000;

describe("the wall clock of a zone", () => {
  it.each([
    ["UTC", "2026-07-01T12:00:00.123Z", 0],
    ["Europe/Vienna", "2026-01-01T00:00:00Z", 1],
    ["Europe/Vienna", "2026-03-29T00:59:59.999Z", 1],
    ["Europe/Vienna", "2026-03-29T01:00:00Z", 2],
    ["Europe/Vienna", "2026-10-25T00:59:59.999Z", 2],
    ["Europe/Vienna", "2026-10-25T01:00:00Z", 1],
    ["America/Los_Angeles", "2026-12-31T23:30:00Z", -8],
    ["Asia/Kathmandu", "2026-05-05T18:15:00Z", 5.75],
    ["Pacific/Kiritimati", "2026-12-31T23:59:59Z", 14],
  ])("%s at %s", (timeZone, at, hours) => {
    expect(zoneOffset(timeZone)(Date.parse(at))).toBe(hours * hourMs);
  });

  it("of a name that is none can't be asked for", () => {
    expect(() => zoneOffset("Mars/Olympus")(0)).toThrow(RangeError);
  });
});
