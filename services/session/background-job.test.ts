import { describe, expect, test } from "vitest";
import { createLog } from "../kernel/log.ts";
import { manualClock } from "../kernel/manual-clock.fixture.ts";
import { startJob } from "./background-job.ts";

const log = createLog({ level: "silent", format: "json" });
/** Lets the promises of a round settle. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

function start(round: () => Promise<"more" | "done">) {
  const clock = manualClock();
  const stop = startJob({ clock, log }, { name: "test", intervalMs: 1_000, moreMs: 10, round });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await settle();
  };
  return { pass, stop };
}

describe("a background job", () => {
  test("works after its interval, and sooner when a round left work", async () => {
    let rounds = 0;
    const { pass } = start(async () => (++rounds < 3 ? "more" : "done"));
    await pass(999);
    expect(rounds).toBe(0);
    await pass(1);
    expect(rounds).toBe(1);
    await pass(10);
    await pass(10);
    expect(rounds).toBe(3);
    await pass(999);
    expect(rounds).toBe(3);
  });

  test("has one round at a time", async () => {
    let rounds = 0;
    const gate = Promise.withResolvers<"done">();
    const { pass } = start(() => {
      rounds += 1;
      return gate.promise;
    });
    await pass(1_000);
    await pass(60_000);
    expect(rounds).toBe(1);
    gate.resolve("done");
    await settle();
    await pass(1_000);
    expect(rounds).toBe(2);
  });

  test("goes on after a round that failed", async () => {
    let rounds = 0;
    const { pass } = start(async () => {
      rounds += 1;
      throw new Error("no disk");
    });
    await pass(1_000);
    await pass(1_000);
    expect(rounds).toBe(2);
  });

  test("ends when it is stopped, also in the middle of a round", async () => {
    let rounds = 0;
    const gate = Promise.withResolvers<"more">();
    const { pass, stop } = start(() => {
      rounds += 1;
      return gate.promise;
    });
    await pass(1_000);
    stop();
    gate.resolve("more");
    await settle();
    await pass(60_000);
    expect(rounds).toBe(1);
  });
});
