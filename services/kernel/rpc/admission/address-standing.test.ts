import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { AddressStanding } from "./address-standing.ts";

function setUp() {
  let nowMs = 1_000;
  const bounds = { anonymousBurstBytes: 10_000, anonymousBytesPerSecond: 1_000, longestPenaltyMs: 5_000 };
  const standing = new AddressStanding(bounds, () => nowMs);
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { standing, pass };
}

describe(`what an address may spend ${verifies("E11", "F4")}`, () => {
  it("is one allowance over everything that comes from it, and fills again", () => {
    const { standing, pass } = setUp();
    expect(standing.charge("a", 6_000)).toBe(true);
    expect(standing.charge("a", 4_000)).toBe(true);
    expect(standing.charge("a", 1)).toBe(false);
    expect(standing.isSpent("a")).toBe(true);
    expect(standing.isSpent("b")).toBe(false);
    pass(2_000);
    expect(standing.isSpent("a")).toBe(false);
    expect(standing.charge("a", 1_999)).toBe(true);
    expect(standing.charge("a", 1_000)).toBe(false);
  });

  it("is paid off in seconds, however much was spent, and given back for who is proven", () => {
    const { standing, pass } = setUp();
    standing.charge("a", 1e12);
    pass(10_001);
    expect(standing.isSpent("a")).toBe(false);
    standing.refund("a", 1e12);
    expect(standing.charge("a", 10_000)).toBe(true);
  });
});

describe(`offences of an address ${verifies("E11")}`, () => {
  it("make its next connections wait longer each time, up to a bound, one after the other", () => {
    const { standing } = setUp();
    expect(standing.admitInMs("a")).toBe(0);
    const waits = [];
    for (let count = 0; count < 20; count += 1) {
      standing.offend("a");
      waits.push(standing.admitInMs("a"));
    }
    expect(waits.slice(0, 5)).toEqual([100, 200, 400, 800, 1_600]);
    expect(Math.max(...waits)).toBeLessThanOrEqual(10_000);
    // Fifty that come at once are let in one by one.
    const crowd = Array.from({ length: 50 }, () => standing.admitInMs("a"));
    expect(crowd.toSorted((x, y) => x - y)).toEqual(crowd);
    expect(crowd.at(-1)).toBeLessThanOrEqual(10_000);
    expect(standing.admitInMs("b")).toBe(0);
  });

  it("are forgiven one by one", () => {
    const { standing, pass } = setUp();
    for (let count = 0; count < 3; count += 1) standing.offend("a");
    pass(10_000);
    standing.offend("a");
    expect(standing.admitInMs("a")).toBe(400);
    pass(30_000);
    expect(standing.admitInMs("a")).toBe(0);
  });

  it("of many addresses are remembered within a bound", () => {
    const { standing } = setUp();
    for (let at = 0; at < 10_001; at += 1) standing.offend(`a${at}`);
    expect(standing.admitInMs("a0")).toBe(0);
    expect(standing.admitInMs("a10000")).toBe(100);
  });
});
