import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { runCommand } from "../../../test/support/mesh-process.ts";
import { makeCacheFolder } from "./compile-cache.ts";

const nobody = 65_534;
const isRoot = process.geteuid?.() === 0;
let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "atoll-cache-"));
  return () => rmSync(root, { recursive: true });
});

/** The cache of a user, in the test's own folder. */
function cacheOf(user: number | undefined = process.geteuid?.()): string | undefined {
  return makeCacheFolder({ user, platform: "linux", env: { XDG_CACHE_HOME: root } });
}

describe("the folder of compiled modules", () => {
  const ours = () => path.join(root, "atoll", "compiled");

  it(`is made for its owner alone, and taken again ${verifies("E7")}`, () => {
    expect(cacheOf()).toBe(ours());
    expect(statSync(ours()).mode & 0o777).toBe(0o700);
    expect(cacheOf()).toBe(ours());
  });

  it(`is closed when it is open and ours ${verifies("E7")}`, () => {
    mkdirSync(ours(), { recursive: true });
    chmodSync(ours(), 0o777);
    expect(cacheOf()).toBe(ours());
    expect(statSync(ours()).mode & 0o777).toBe(0o700);
  });

  it.each(["atoll/compiled", "atoll"])(`is none when %s is a link ${verifies("E7")}`, (link) => {
    mkdirSync(path.join(root, "elsewhere", "compiled"), { recursive: true });
    mkdirSync(path.dirname(path.join(root, link)), { recursive: true });
    chmodSync(path.join(root, "elsewhere"), 0o777);
    symlinkSync(path.join(root, "elsewhere"), path.join(root, link));
    expect(cacheOf()).toBeUndefined();
  });

  it.each(["atoll", "."])(`is none when everybody may write %s ${verifies("E7")}`, (folder) => {
    mkdirSync(ours(), { recursive: true });
    chmodSync(path.join(root, folder), 0o777);
    expect(cacheOf()).toBeUndefined();
    chmodSync(path.join(root, folder), 0o770);
    expect(cacheOf()).toBeUndefined();
  });

  it.each(["atoll/compiled", "atoll", "."])(`is none when %s is another user's ${verifies("E7")}`, (folder) => {
    mkdirSync(ours(), { recursive: true });
    // Who may give a folder away does; who may not asks for somebody else's cache. Either way owner and user differ.
    if (isRoot) chownSync(path.join(root, folder), nobody, nobody);
    expect(cacheOf(isRoot ? 0 : nobody)).toBeUndefined();
  });

  it(`is none where none can be made ${verifies("E7")}`, () => {
    expect(
      makeCacheFolder({ user: process.geteuid?.(), platform: "linux", env: { XDG_CACHE_HOME: "/dev/null" } }),
    ).toBe(undefined);
  });
});

describe("a start", () => {
  it(`does not touch the place that everybody knows, and keeps its modules in its own ${verifies("E7")}`, async () => {
    const known = path.join(root, "tmp", "node-compile-cache");
    mkdirSync(known, { recursive: true });
    chmodSync(known, 0o777);
    if (isRoot) chownSync(known, nobody, nobody);
    const home = path.join(root, "home");
    mkdirSync(home);
    const env = { TMPDIR: path.join(root, "tmp"), XDG_CACHE_HOME: home };
    const { code } = await runCommand(["--version"], root, env);
    expect(code).toBe(0);
    expect(readdirSync(known)).toEqual([]);
    expect(readdirSync(path.join(home, "atoll", "compiled")).length).toBeGreaterThan(0);
  });

  it(`reads and writes nothing in a folder that another user could change ${verifies("E7")}`, async () => {
    const planted = path.join(root, "atoll", "compiled");
    mkdirSync(planted, { recursive: true });
    chmodSync(path.join(root, "atoll"), 0o777);
    if (isRoot) chownSync(path.join(root, "atoll"), nobody, nobody);
    const { code } = await runCommand(["--version"], root, { TMPDIR: root, XDG_CACHE_HOME: root });
    expect(code).toBe(0);
    expect(readdirSync(planted)).toEqual([]);
    expect(existsSync(path.join(root, "node-compile-cache"))).toBe(false);
  });
});
