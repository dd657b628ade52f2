import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ResetMode, ResetPolicySchema } from "../../../gen/atoll/session/v1/session_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { checkResetPolicy, isResetDue } from "./reset-policy.ts";
import { zoneOffset } from "./zone-offset.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const utc = () => 0;
const daily = (hour: number) => create(ResetPolicySchema, { mode: ResetMode.DAILY, hour });
const idle = (ms: number) => create(ResetPolicySchema, { mode: ResetMode.IDLE, idle: durationFromMs(ms) });
const day = Date.UTC(2026, 2, 28);
/** A session whose last message came then, and that began anew at these times. */
const since = (lastMessageAtMs: number, ...resetsAtMs: number[]) => ({ lastMessageAtMs, resetsAtMs });

describe("when a session begins anew", () => {
  it("never without a policy, with one that says so, and before the first message", () => {
    const never = create(ResetPolicySchema, { mode: ResetMode.NEVER });
    for (const policy of [undefined, never, create(ResetPolicySchema)])
      expect(isResetDue(policy, since(1), day, utc)).toBe(false);
    for (const policy of [daily(4), idle(60_000)]) expect(isResetDue(policy, since(0), day, utc)).toBe(false);
  });

  it.each([
    ["a minute before the hour", day + 4 * hourMs - 60_000, false],
    ["at the hour", day + 4 * hourMs, true],
    ["days later", day + 9 * dayMs, true],
    ["at a time before the last message", day - 2 * dayMs, false],
  ])("daily: %s", (_when, nowMs, expected) => {
    expect(isResetDue(daily(4), since(day), nowMs, utc)).toBe(expected);
  });

  it("idle: from the moment on at which the silence was as long as the policy says", () => {
    expect(isResetDue(idle(60_000), since(day), day + 59_999, utc)).toBe(false);
    expect(isResetDue(idle(60_000), since(day), day + 60_000, utc)).toBe(true);
  });

  it.each([
    ["by minutes over the hour", 10 * 60_000],
    ["by an hour", hourMs],
    ["by a day and more", 30 * hourMs],
    ["by three days", 3 * dayMs],
  ])(`daily: once a day, also when the clock goes back %s ${verifies("FL9")}`, (_how, backMs) => {
    const resets: number[] = [];
    let lastMessageAtMs = day;
    const say = (nowMs: number): void => {
      if (isResetDue(daily(4), since(lastMessageAtMs, ...resets.slice(-8)), nowMs, utc)) resets.push(nowMs);
      lastMessageAtMs = nowMs;
    };
    const talk = (fromMs: number, untilMs: number): void => {
      for (let nowMs = fromMs; nowMs <= untilMs; nowMs += 5 * 60_000) say(nowMs);
    };
    const end = day + 4 * dayMs + 4 * hourMs + 60_000;
    talk(day, end);
    talk(end - backMs, end + 2 * dayMs);
    const days = resets.map((atMs) => Math.floor((atMs - 4 * hourMs) / dayMs));
    expect(new Set(days).size).toBe(days.length);
    expect(days).toHaveLength(7);
  });

  it(`daily: goes on when a clock that was far ahead is set right ${verifies("FL9")}`, () => {
    const ahead = day + 40 * dayMs;
    expect(isResetDue(daily(4), since(day, ahead), day + 5 * hourMs, utc)).toBe(true);
  });

  it("daily: once between two messages of one day, over changes of daylight saving too", () => {
    // 2026-03-29: 02:00 becomes 03:00 in Vienna; 2026-10-25: 03:00 becomes 02:00.
    const vienna = zoneOffset("Europe/Vienna");
    const starts = fc.constantFrom(Date.UTC(2026, 2, 28), Date.UTC(2026, 9, 24), Date.UTC(2026, 5, 1));
    const minutes = fc.array(fc.integer({ min: 0, max: 3 * 24 * 60 }), { minLength: 2, maxLength: 60 });
    fc.assert(
      fc.property(starts, minutes, fc.integer({ min: 0, max: 23 }), (start, offsets, hour) => {
        const times = offsets.toSorted((a, b) => a - b).map((minute) => start + minute * 60_000);
        const resets = times.filter(
          (atMs, i) => i > 0 && isResetDue(daily(hour), since(times[i - 1] ?? 0), atMs, vienna),
        );
        // Each one begins a day of its own.
        const dayOf = (atMs: number) => Math.floor((atMs + vienna(atMs) - hour * hourMs) / dayMs);
        const days = resets.map(dayOf);
        expect(new Set(days).size).toBe(days.length);
        expect(new Set(times.map(dayOf)).size).toBe(days.length + 1);
      }),
    );
  });
});

describe("a policy", () => {
  it("of silence must say how long, from a minute to 366 days", () => {
    for (const ok of [undefined, daily(3), idle(60_000), idle(366 * dayMs)])
      expect(() => checkResetPolicy(ok, "reset_policy")).not.toThrow();
    const silent = create(ResetPolicySchema, { mode: ResetMode.IDLE });
    for (const wrong of [silent, idle(59_999), idle(366 * dayMs + 1), idle(-1)])
      expect(() => checkResetPolicy(wrong, "reset_policy")).toThrow("reset_policy.idle must be from 60 s to 366 days");
  });
});
