import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeDataDir, makeWorkspaceDir } from "./data-dir.ts";

const nobody = 65_534;
let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), "atoll-data-"));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

/** Without the rights of the superuser, which no folder can refuse. */
async function asOrdinaryUser<T>(run: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return run();
  await chmod(root, 0o755);
  process.seteuid?.(nobody);
  try {
    return await run();
  } finally {
    process.seteuid?.(0);
  }
}

async function modeOf(dir: string): Promise<number> {
  return (await stat(dir)).mode & 0o777;
}

describe("makeDataDir", () => {
  it("makes the folder for its owner alone, leaves nothing in it, and can be called again", async () => {
    const dir = path.join(root, "a", "data");
    await makeDataDir(dir);
    await makeDataDir(dir);
    expect(await modeOf(dir)).toBe(0o700);
    expect(await readdir(dir)).toEqual([]);
  });

  it("closes an empty folder to others, but refuses one that holds something", async () => {
    const dir = path.join(root, "data");
    await mkdir(dir);
    await chmod(dir, 0o755);
    await makeDataDir(dir);
    expect(await modeOf(dir)).toBe(0o700);
    await writeFile(path.join(dir, "file"), "");
    await chmod(dir, 0o750);
    await expect(makeDataDir(dir)).rejects.toMatchObject({
      reason: "OPEN_TO_OTHERS",
      message: expect.stringContaining("chmod 700"),
    });
    expect(await modeOf(dir)).toBe(0o750);
  });

  it("says that a file stands in the way", async () => {
    const file = path.join(root, "file");
    await writeFile(file, "");
    await expect(makeDataDir(file)).rejects.toMatchObject({ reason: "NOT_A_FOLDER" });
    await expect(makeDataDir(path.join(file, "data"))).rejects.toMatchObject({
      reason: "NOT_A_FOLDER",
      dir: path.join(file, "data"),
    });
  });

  it("says that a folder can't be written and how to name another", async () => {
    const dir = path.join(root, "data");
    await mkdir(dir);
    await chmod(dir, 0o555);
    await asOrdinaryUser(async () => {
      const refused = { name: "DataDirError", reason: "NOT_WRITABLE", message: expect.stringContaining("ATOLL_DATA") };
      await expect(makeDataDir(dir)).rejects.toMatchObject(refused);
      await expect(makeDataDir(path.join(dir, "deeper"))).rejects.toMatchObject(refused);
    });
  });
});

describe("makeWorkspaceDir", () => {
  it("makes the folder when it is missing and leaves its rights alone when it is there", async () => {
    const dir = path.join(root, "workspace");
    await makeWorkspaceDir(dir);
    await chmod(dir, 0o775);
    await makeWorkspaceDir(dir);
    expect(await modeOf(dir)).toBe(0o775);
  });
});
