import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { MeshWorld } from "./mesh-world.fixture.ts";
import { Broken, type PlantedBug, plantedBugs } from "./world-facts.fixture.ts";

/** Two steps of fifteen bits each: five say what is done, ten to whom. */
const anySchedule = fc.noBias(fc.array(fc.nat({ max: 2 ** 30 - 1 }), { minLength: 8, maxLength: 72, size: "max" }));
const schedules = 150_000;
/** A planted bug must be caught within so many. */
const schedulesABug = 5_000;

function play(schedule: readonly number[], bug: PlantedBug): MeshWorld {
  const world = new MeshWorld(bug);
  for (const word of schedule) {
    world.step(word & 31, (word >> 5) & 1023);
    world.step((word >> 15) & 31, (word >> 20) & 1023);
  }
  world.settle();
  return world;
}

describe("random schedules of clients, workers and faults", () => {
  it(`break no promise, ${schedules} of them ${verifies("R1", "R2", "R3", "R4", "L4")}`, { timeout: 180_000 }, () => {
    const landed = { lateWrites: 0, takeOvers: 0, resent: 0, followUps: 0, ends: 0 };
    const property = fc.property(anySchedule, (schedule) => {
      const { store } = play(schedule, undefined);
      landed.lateWrites += store.count.late;
      landed.resent += store.count.resent;
      landed.followUps += store.count.followUps;
      for (const { attempt, status } of store.runs) {
        if (attempt > 1) landed.takeOvers += 1;
        if (status !== 0) landed.ends += 1;
      }
    });
    fc.assert(property, { numRuns: schedules });
    // A proof in which the faults did not land would prove nothing.
    for (const [fault, count] of Object.entries(landed)) expect(count, fault).toBeGreaterThan(10_000);
  });

  it.each(plantedBugs)(`notice: %s`, (bug) => {
    const property = fc.property(anySchedule, (schedule) => void play(schedule, bug));
    const { failed, errorInstance } = fc.check(property, { numRuns: schedulesABug, endOnFailure: true });
    expect(failed, "no schedule broke a promise").toBe(true);
    expect(errorInstance).toBeInstanceOf(Broken);
  });
});
