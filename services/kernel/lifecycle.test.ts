import { describe, expect, it } from "vitest";
import { verifies } from "../../test/requirements.ts";
import { createLifecycle, type LifecyclePart, LifecycleStopped } from "./lifecycle.ts";
import { createLog } from "./log.ts";

function setUp() {
  const steps: string[] = [];
  const lines: string[] = [];
  const log = createLog({ level: "debug", format: "json", destination: { write: (line) => void lines.push(line) } });
  const lifecycle = createLifecycle({ log, closeTimeoutMs: 50 });
  const part = (name: string, more: Partial<LifecyclePart> = {}): LifecyclePart => ({
    name,
    drain: async () => {
      steps.push(`${name} drains`);
    },
    close: async () => {
      steps.push(`${name} closes`);
    },
    ...more,
  });
  return { steps, lines, lifecycle, part };
}

const never = (): Promise<void> => new Promise(() => {});

describe("createLifecycle", () => {
  it("drains all parts, then closes them in reverse order of registration", async () => {
    const { steps, lifecycle, part } = setUp();
    await lifecycle.register(part("store", { close: () => void steps.push("store closes") }));
    await lifecycle.register({ name: "timer", close: () => void steps.push("timer closes") });
    await lifecycle.register(part("port"));
    await expect(lifecycle.drainAndClose({ drainTimeoutMs: 1000 })).resolves.toEqual({ unfinished: [] });
    expect(steps).toEqual(["store drains", "port drains", "port closes", "timer closes", "store closes"]);
  });

  it("drains all parts at the same time and tells each how long it has", async () => {
    const { lifecycle, part } = setUp();
    const { promise: bothDrain, resolve } = Promise.withResolvers<void>();
    const given: number[] = [];
    const drain = (deadlineMs: number): Promise<void> => {
      given.push(deadlineMs);
      if (given.length === 2) resolve();
      return bothDrain;
    };
    await lifecycle.register(part("a", { drain }));
    await lifecycle.register(part("b", { drain }));
    await expect(lifecycle.drainAndClose({ drainTimeoutMs: 5000 })).resolves.toEqual({ unfinished: [] });
    expect(given).toEqual([5000, 5000]);
  });

  it("closes a part that does not finish draining, and names it in report and log", async () => {
    const { steps, lines, lifecycle, part } = setUp();
    await lifecycle.register(part("slow", { drain: never }));
    const report = await lifecycle.drainAndClose({ drainTimeoutMs: 20 });
    expect(report.unfinished).toEqual([{ name: "slow", step: "drain", problem: "timed out" }]);
    expect(steps).toEqual(["slow closes"]);
    expect(lines.join("")).toContain("slow did not drain");
  });

  it("goes on to the next part when one hangs or fails, however it fails", async () => {
    const { steps, lines, lifecycle, part } = setUp();
    await lifecycle.register(part("first"));
    await lifecycle.register(part("hangs", { close: never }));
    const throwing = (): void => {
      throw new Error("broken pipe");
    };
    await lifecycle.register(part("throws", { drain: throwing, close: throwing }));
    await lifecycle.register(part("rejects", { close: () => Promise.reject(new Error("disk gone")) }));
    const { unfinished } = await lifecycle.drainAndClose({ drainTimeoutMs: 1000 });
    expect(unfinished).toEqual([
      { name: "throws", step: "drain", problem: "failed" },
      { name: "rejects", step: "close", problem: "failed" },
      { name: "throws", step: "close", problem: "failed" },
      { name: "hangs", step: "close", problem: "timed out" },
    ]);
    expect(steps.at(-1)).toBe("first closes");
    expect(lines.join("")).toContain("disk gone");
  });

  it(`gives a part that needs longer the time that it names ${verifies("E17")}`, async () => {
    const { lifecycle, part } = setUp();
    const slow = part("slow", { close: () => new Promise<void>((resolve) => void setTimeout(resolve, 150)) });
    await lifecycle.register({ ...slow, closeTimeoutMs: 10_000 });
    expect(await lifecycle.closeNow()).toEqual({ unfinished: [] });
  });

  it("ends a drain at once when it is told to close now, and closes each part once", async () => {
    const { steps, lifecycle, part } = setUp();
    await lifecycle.register(part("busy", { drain: never }));
    const draining = lifecycle.drainAndClose({ drainTimeoutMs: 60_000 });
    const closed = await lifecycle.closeNow();
    expect(await draining).toBe(closed);
    expect(closed.unfinished).toEqual([{ name: "busy", step: "drain", problem: "cut short" }]);
    expect(steps).toEqual(["busy closes"]);
  });

  it("does not drain when it is closed at once, and does nothing twice", async () => {
    const { steps, lifecycle, part } = setUp();
    await lifecycle.register(part("port"));
    const reports = await Promise.all([lifecycle.closeNow(), lifecycle.closeNow()]);
    reports.push(await lifecycle.drainAndClose({ drainTimeoutMs: 10 }));
    expect(new Set(reports).size).toBe(1);
    expect(steps).toEqual(["port closes"]);
  });

  it("closes a part that starts while the mesh is stopping, and ends that start", async () => {
    const { steps, lifecycle, part } = setUp();
    await lifecycle.closeNow();
    await expect(lifecycle.register(part("late"))).rejects.toBeInstanceOf(LifecycleStopped);
    expect(steps).toEqual(["late closes"]);
  });
});
