import { expect, it } from "vitest";
import type { FaultRecord } from "../history.ts";
import { wallReader } from "./wall-times.ts";

const hourMs = 3_600_000;
const jump = (aheadMs: number, atMs: number): FaultRecord => ({ kind: "clock", aheadMs, atMs });

it("is a difference as long as nobody moves the clock", () => {
  expect(wallReader([], 100_000, 40_000)(103_000)).toBe(3_000);
});

it("finds the moment of an event under each clock that there was", () => {
  const read = wallReader([jump(hourMs, 10_000), jump(-hourMs, 20_000), jump(0, 30_000)], 100_000, 40_000);
  expect([103_000, 115_000 + hourMs, 125_000 - hourMs, 135_000].map(read)).toEqual([3_000, 15_000, 25_000, 35_000]);
});

it("has no moment for a time that the clock never showed", () => {
  expect(wallReader([jump(hourMs, 10_000)], 100_000, 40_000)(190_000)).toBeNaN();
});
