import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { splitEvents } from "./split-events.ts";

const sizes = (...bytes: number[]) =>
  splitEvents(bytes.map((length) => new Uint8Array(length))).map((part) => part.map(({ length }) => length));

describe("the events of one moment", () => {
  it(`are parted where a frame would grow over a megabyte ${verifies("L7")}`, () => {
    expect(sizes(400_000, 400_000, 400_000)).toEqual([[400_000, 400_000], [400_000]]);
    expect(sizes(1_048_576, 1, 1)).toEqual([[1_048_576], [1, 1]]);
    expect(sizes(1_048_575, 1, 1)).toEqual([[1_048_575, 1], [1]]);
  });

  it("that are larger alone go alone, and none is lost", () => {
    expect(sizes(10, 3_750_000, 3_750_000, 10)).toEqual([[10], [3_750_000], [3_750_000], [10]]);
    expect(sizes(5)).toEqual([[5]]);
    expect(sizes()).toEqual([]);
  });
});
