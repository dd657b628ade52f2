import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { compareRuns, orderClause, positionOf } from "./order-runs.ts";

describe(`the order of waiting runs ${verifies("R3")}`, () => {
  it("is urgent first, then by arrival", () => {
    const runs = [
      { priority: 2, arrival: 1 },
      { priority: 4, arrival: 4 },
      { priority: 2, arrival: 0 },
      { priority: 4, arrival: 3 },
      { priority: 1, arrival: 2 },
    ];
    expect(runs.toSorted(compareRuns).map(({ arrival }) => arrival)).toEqual([3, 4, 0, 1, 2]);
    expect(orderClause("r.priority", "r.run_no")).toBe("r.priority DESC, r.run_no");
  });

  it("counts the active run among those that are before a new one", () => {
    expect([positionOf(0, false), positionOf(0, true), positionOf(3, true)]).toEqual([0, 1, 4]);
  });
});
