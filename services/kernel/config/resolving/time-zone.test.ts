import { describe, expect, it } from "vitest";
import { parseTimeZone } from "./time-zone.ts";

describe("parseTimeZone", () => {
  it.each([
    ["UTC", "UTC"],
    ["europe/vienna", "Europe/Vienna"],
    ["America/New_York", "America/New_York"],
  ])("reads %s", (text, value) => {
    expect(parseTimeZone(text)).toEqual({ value });
  });

  it.each(["", "Vienna", "Mars/Olympus", "UTC; drop"])("refuses %j", (text) => {
    expect(parseTimeZone(text)).toHaveProperty("expected");
  });
});
