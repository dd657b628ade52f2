import { chmod, chown, lchown, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
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
    if (process.geteuid?.() === 0) await chown(dir, nobody, nobody);
    await asOrdinaryUser(async () => {
      const refused = { name: "DataDirError", reason: "NOT_WRITABLE", message: expect.stringContaining("ATOLL_DATA") };
      await expect(makeDataDir(dir)).rejects.toMatchObject(refused);
      await expect(makeDataDir(path.join(dir, "deeper"))).rejects.toMatchObject(refused);
    });
  });
});

describe("a data folder of another user", () => {
  const isRoot = process.geteuid?.() === 0;
  const me = process.geteuid?.() ?? 0;

  /** Who may give a file away does; who may not looks with the eyes of somebody else. */
  async function makeAsOther(dir: string, foreign: string): Promise<void> {
    if (!isRoot) return makeDataDir(dir, me + 1);
    await lchown(foreign, nobody, nobody);
    return makeDataDir(dir);
  }

  it(`is refused before anything is written to it ${verifies("E19")}`, async () => {
    const dir = path.join(root, "data");
    await mkdir(dir, { mode: 0o700 });
    await expect(makeAsOther(dir, dir)).rejects.toMatchObject({
      reason: "OF_ANOTHER_USER",
      dir,
      message: expect.stringMatching(/--data or ATOLL_DATA.*chown -R/),
    });
    expect(await readdir(dir)).toEqual([]);
  });

  it.each(["token", "mesh.key", "session.db", "blobs", "address"])(
    `is one with a %s of another user, too ${verifies("E19")}`,
    async (name) => {
      const dir = path.join(root, "data");
      await mkdir(dir, { mode: 0o700 });
      const file = path.join(dir, name);
      await writeFile(file, "");
      // Without root the whole folder is somebody else's in the eyes of the check.
      await expect(makeAsOther(dir, file)).rejects.toMatchObject({
        reason: "OF_ANOTHER_USER",
        dir: isRoot ? file : dir,
      });
    },
  );

  it(`is one with a link that another user made, or that leads to what is another's ${verifies("E19")}`, async () => {
    const dir = path.join(root, "data");
    await mkdir(dir, { mode: 0o700 });
    await writeFile(path.join(root, "elsewhere"), "");
    await symlink(path.join(root, "elsewhere"), path.join(dir, "token"));
    await makeDataDir(dir);
    await expect(makeAsOther(dir, path.join(root, "elsewhere"))).rejects.toMatchObject({ reason: "OF_ANOTHER_USER" });
  });

  it(`is what everybody could make of it, when a folder above is open to all ${verifies("E19")}`, async () => {
    const above = path.join(root, "shared");
    const dir = path.join(above, "deep", "data");
    await mkdir(dir, { recursive: true });
    await chmod(above, 0o777);
    await expect(makeDataDir(dir)).rejects.toMatchObject({
      reason: "REPLACEABLE",
      message: expect.stringContaining(`chmod o-w '${above}'`),
    });
    await expect(makeDataDir(path.join(above, "new"))).rejects.toMatchObject({ reason: "REPLACEABLE" });
    // As folders for temporary files are: nobody can move what is another's.
    await chmod(above, 0o1777);
    await makeDataDir(dir);
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
