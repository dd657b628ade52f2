import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newId, newSpanId, newTraceId } from "./id.ts";

describe("newId", () => {
  it("is the prefix and 26 characters of Crockford's base32", () => {
    expect(newId("ses")).toMatch(/^ses_[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
  });

  it("starts with the time: an id of a later millisecond sorts after", () => {
    expect(newId("run", { nowMs: () => 1_469_922_850_259 })).toMatch(/^run_01ARZ3NDEK/);
  });

  it("grows with every call, whatever the wall clock does", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 47 }), { minLength: 2, maxLength: 50 }), (times) => {
        let index = 0;
        const clock = { nowMs: () => times[index++] ?? 0 };
        const ids = times.map(() => newId("msg", clock));
        expect(ids.toSorted()).toEqual(ids);
        expect(new Set(ids).size).toBe(ids.length);
      }),
    );
  });

  it("is unique across many calls within one millisecond", () => {
    const clock = { nowMs: () => 1_000 };
    expect(new Set(Array.from({ length: 10_000 }, () => newId("call", clock))).size).toBe(10_000);
  });
});

describe("newTraceId", () => {
  it("is 32 lowercase hexadecimal digits, new every time", () => {
    expect(newTraceId()).toMatch(/^[0-9a-f]{32}$/);
    expect(newTraceId()).not.toBe(newTraceId());
  });
});

describe("newSpanId", () => {
  it("is 16 lowercase hexadecimal digits, new every time", () => {
    expect(newSpanId()).toMatch(/^[0-9a-f]{16}$/);
    expect(newSpanId()).not.toBe(newSpanId());
  });
});
