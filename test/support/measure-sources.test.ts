import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { measureSources } from "./measure-sources.ts";

const fileOf = (path: string, lines: number) => ({ path, text: "a;\n".repeat(lines) });

beforeEach(() => {
  vi.spyOn(console, "log").mockReturnValue(undefined);
});
afterEach(() => vi.restoreAllMocks());

describe("the sizes of source files", () => {
  test("are within their bounds here", () => {
    expect(measureSources()).toEqual([]);
  });

  test("are told with what is over a bound", () => {
    const small = Array.from({ length: 8 }, (_, index) => fileOf(`services/small-${index}.ts`, 90));
    expect(measureSources([...small, fileOf("services/large.ts", 300)])).toEqual([]);
    expect(measureSources([...small, fileOf("services/large.ts", 301)])).toEqual([
      "services/large.ts has more than 300 lines",
    ]);
    expect(measureSources([fileOf("web/one.ts", 101), fileOf("web/two.ts", 260), fileOf("web/three.ts", 260)])).toEqual(
      ["web: the median is over 100 lines", "web: the p90 is over 250 lines"],
    );
  });

  test("are measured apart for services, web and tests, and circles are named", () => {
    const one = { path: "services/a.ts", text: 'import type { B } from "./b.test.ts";\n' };
    const other = { path: "services/b.test.ts", text: 'import { a } from "./a.ts";\n' };
    expect(measureSources([one, other, fileOf("web/c.ts", 1)])).toEqual([
      "import each other: services/a.ts, services/b.test.ts",
    ]);
    const told = vi.mocked(console.log).mock.calls.map(([line]) => String(line).split(" ")[0]);
    expect(told).toEqual(["services", "tests", "web", "cycles"]);
  });
});
