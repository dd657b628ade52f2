// The self-test takes half an hour and runs seldom: that its mutations still fit the code is looked at here.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { mutations } from "./mutations.ts";

const root = resolve(import.meta.dirname, "../..");

it.each(mutations.map(({ name, edits }) => [name, edits] as const))(
  "can still break the code so: %s",
  (_name, edits) => {
    for (const { file, find } of edits) {
      expect(readFileSync(join(root, file), "utf8").split(find).length - 1, `${file}: ${find}`).toBe(1);
    }
  },
);
