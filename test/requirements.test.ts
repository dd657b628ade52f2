import { describe, expect, test } from "vitest";
import { reports } from "./reports.ts";
import type { Requirement } from "./requirement.ts";
import { requirements } from "./requirements.ts";
import { readSourceFiles, type SourceFile } from "./support/source-files.ts";

/** The ids that a file cites. Only tests and the suites that they share can cite. */
function citedIn(file: SourceFile): string[] {
  if (!/(\.test\.tsx?|\.attack\.ts|-suite\.ts)$/.test(file.path)) return [];
  return [...file.text.matchAll(/\bverifies\(([^)]*)\)/g)].flatMap(([, ids = ""]) =>
    [...ids.matchAll(/["']([^"']*)["']/g)].map(([, id = ""]) => id),
  );
}

const self = "test/requirements.test.ts";
const files = readSourceFiles("services", "web", "proto", "test").filter((file) => file.path !== self);
const citations = files.flatMap((file) => citedIn(file).map((id) => ({ id, path: file.path })));
const ledger: Readonly<Record<string, Requirement>> = { ...requirements, ...reports };

describe("the ledger of requirements", () => {
  test("every requirement that holds is cited by a test", () => {
    const cited = new Set(citations.map(({ id }) => id));
    const held = Object.keys(ledger).filter((id) => ledger[id]?.status === "holds");
    expect(held.filter((id) => !cited.has(id))).toEqual([]);
  });

  test("every cited id is in the ledger", () => {
    expect(citations.filter(({ id }) => !(id in ledger))).toEqual([]);
  });

  test("finds citations in tests and suites, and nowhere else", () => {
    const text = 'test(verifies("S1", "L4"), run);\ndescribe(verifies(\n  "X9",\n), run);';
    expect(citedIn({ path: "services/a.test.ts", text })).toEqual(["S1", "L4", "X9"]);
    expect(citedIn({ path: "test/contract/store-suite.ts", text })).toHaveLength(3);
    expect(citedIn({ path: "services/a.ts", text })).toEqual([]);
  });
});
