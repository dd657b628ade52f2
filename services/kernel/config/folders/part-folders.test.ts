import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeEach, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { partFolders } from "./part-folders.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "atoll-part-"));
  for (const folder of ["project/workspace", "project/data/deep", "beside"]) {
    mkdirSync(path.join(root, folder), { recursive: true });
  }
  symlinkSync(path.join(root, "project"), path.join(root, "link"));
  symlinkSync(path.join(root, "project", "data", "deep"), path.join(root, "project", "workspace", "shortcut"));
  return () => rmSync(root, { recursive: true });
});

it.each([
  ["the data folder in the workspace", "project/.atoll", "project"],
  ["the data folder deep in it, not there yet", "project/a/b/c/.atoll", "project"],
  ["one folder for both", "project", "project"],
  ["the workspace in the data folder", "project/data", "project/data/deep"],
  ["the workspace in the data folder, neither there yet", "new/data", "new/data/workspace"],
  ["a way through ..", "project/workspace/../data/new", "project/data"],
  ["a slash at the end", "project/data/", "project//"],
  ["a link to the workspace", "project/data", "link"],
  ["a data folder behind a link", "link/data", "project"],
  ["a data folder that is a link into the workspace", "project/workspace/shortcut", "project/data"],
  ["both not there behind a link", "link/x/data", "project/x"],
])(`is refused: %s ${verifies("E9")}`, async (_, data, workspace) => {
  await expect(partFolders(path.join(root, data), path.join(root, workspace))).rejects.toMatchObject({
    reason: "INSIDE_EACH_OTHER",
    message: expect.stringMatching(/--data, ATOLL_DATA or `data` in the file.*`workspace` in the file/),
  });
});

it.each([
  ["side by side", "project/data", "project/workspace"],
  ["not there yet", "project/.atoll", "project/new"],
  ["names that begin alike", "project/data", "project/data-2"],
  ["names that begin with two dots", "project/..data", "project/workspace"],
  ["through ..", "project/workspace/../data", "project/workspace"],
  ["a link beside", "link/data", "project/workspace"],
])(`is fine: %s ${verifies("E9")}`, async (_, data, workspace) => {
  await expect(partFolders(path.join(root, data), path.join(root, workspace))).resolves.toBeUndefined();
});
