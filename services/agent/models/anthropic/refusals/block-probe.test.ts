import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../../../test/requirements.ts";
import { type Mend, mostMendings } from "../../model.ts";
import { BlockProbe } from "./block-probe.ts";

const candidates = (count: number): Mend[] =>
  Array.from({ length: count }, (_, index) => ({ block: `b${index}`, note: "", keepBytes: 0 }));

/** Asks as the driver does; gives what was left out in the answer that is read, and how many requests it took. */
function probe(count: number, bad: ReadonlySet<string>) {
  const blockProbe = new BlockProbe(candidates(count));
  for (let requests = 1; ; requests++) {
    const left = mostMendings - requests;
    const leftOut = new Set(blockProbe.tried.map(({ block }) => block));
    const isTaken = [...bad].every((block) => leftOut.has(block));
    if (isTaken ? !blockProbe.accepted(left) : left <= 0 || !blockProbe.refused(left)) {
      return { requests, leftOut: isTaken ? leftOut : undefined };
    }
  }
}

describe(`the search for a block that is refused ${verifies("F2")}`, () => {
  it("takes one request when it is the newest", () => {
    expect(probe(50, new Set(["b0"]))).toEqual({ requests: 1, leftOut: new Set(["b0"]) });
  });

  it.each([1, 2, 3])("finds the block %i places further back alone", (place) => {
    expect(probe(50, new Set([`b${place}`])).leftOut).toEqual(new Set([`b${place}`]));
  });

  it("always ends within its bound, with all that offends left out, and never with all that there is without need", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 256 }),
        fc.array(fc.nat(255), { minLength: 1, maxLength: 4 }),
        (count, places) => {
          const bad = new Set(places.map((place) => `b${place % count}`));
          const { requests, leftOut } = probe(count, bad);
          expect(requests).toBeLessThanOrEqual(mostMendings);
          expect(leftOut).toBeDefined();
          for (const block of bad) expect(leftOut).toContain(block);
        },
      ),
    );
  });

  it("gives up when leaving out everything does not help", () => {
    expect(probe(20, new Set(["another"]))).toMatchObject({ leftOut: undefined });
  });
});
