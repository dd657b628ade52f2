import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StoreUnavailable } from "../store-errors.ts";
import { openDatabase } from "./open-database.ts";

const first = "CREATE TABLE one (a INTEGER) STRICT;";
const second = "CREATE TABLE two (b INTEGER) STRICT;";
const unprivilegedUser = 65_534;

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "atoll-open-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function failureOf(attempt: () => unknown): StoreUnavailable {
  try {
    attempt();
  } catch (error) {
    expect(error).toBeInstanceOf(StoreUnavailable);
    return error as StoreUnavailable;
  }
  throw new Error("the database opened");
}

/** Root may write everywhere, so the attempt is made as nobody. */
function withoutPrivileges<T>(attempt: () => T): T {
  if (process.geteuid?.() !== 0) {
    return attempt();
  }
  process.seteuid?.(unprivilegedUser);
  try {
    return attempt();
  } finally {
    process.seteuid?.(0);
  }
}

describe("opening a database", () => {
  it("creates folder and file for their owner alone", () => {
    openDatabase(join(folder, "a", "b"), "x.db", [first]).close();
    expect(statSync(join(folder, "a", "b")).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, "a", "b", "x.db")).mode & 0o777).toBe(0o600);
  });

  it("syncs every commit of a write-ahead log", () => {
    const database = openDatabase(folder, "x.db", [first]);
    expect(database.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    expect(database.prepare("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
    expect(database.prepare("PRAGMA busy_timeout").get()).toEqual({ timeout: 5_000 });
    database.close();
  });

  it("runs the migrations that a file has not seen, each once", () => {
    openDatabase(folder, "x.db", [first]).close();
    const database = openDatabase(folder, "x.db", [first, second]);
    database.exec("INSERT INTO one VALUES (1); INSERT INTO two VALUES (2)");
    expect(database.prepare("PRAGMA user_version").get()).toEqual({ user_version: 2 });
    database.close();
    openDatabase(folder, "x.db", [first, second]).close();
  });

  it("leaves a file as it was when a migration fails", () => {
    openDatabase(folder, "x.db", [first]).close();
    expect(() => openDatabase(folder, "x.db", [first, second, "CREATE TABLE one (again INTEGER)"])).toThrow();
    const database = openDatabase(folder, "x.db", [first]);
    expect(database.prepare("SELECT name FROM sqlite_schema").all()).toEqual([{ name: "one" }]);
    database.close();
  });

  it("refuses a file of a newer program and leaves it alone", () => {
    openDatabase(folder, "x.db", [first, second]).close();
    const failure = failureOf(() => openDatabase(folder, "x.db", [first]));
    expect(failure.problem).toBe("too-new");
    expect(failure.message).toContain("schema 2");
    openDatabase(folder, "x.db", [first, second]).close();
  });

  it("refuses a file that another process has open, and opens it once that one is killed", () => {
    const owner = openDatabase(folder, "x.db", [first]);
    const script = `
      import { openDatabase } from ${JSON.stringify(join(import.meta.dirname, "open-database.ts"))};
      try { openDatabase(${JSON.stringify(folder)}, "x.db", [${JSON.stringify(first)}]); console.log("opened"); }
      catch (error) { console.log(error.problem + ": " + error.message); }
      process.kill(process.pid, "SIGKILL");`;
    const openElsewhere = () =>
      spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }).stdout;
    expect(openElsewhere()).toMatch(/^busy: .*another process has .*x\.db open/);
    owner.close();
    expect(openElsewhere()).toBe("opened\n");
    openDatabase(folder, "x.db", [first]).close();
  });

  it("refuses a second opening in the same process and keeps the first one's ownership", () => {
    const owner = openDatabase(folder, "x.db", [first]);
    expect(failureOf(() => openDatabase(folder, "x.db", [first])).problem).toBe("busy");
    expect(failureOf(() => openDatabase(folder, "x.db", [first])).problem).toBe("busy");
    owner.exec("INSERT INTO one VALUES (1)");
    owner.close();
  });

  it("says that a folder can't be written", () => {
    chmodSync(folder, 0o555);
    const failure = withoutPrivileges(() => failureOf(() => openDatabase(folder, "x.db", [first])));
    expect(failure.problem).toBe("read-only");
    expect(failure.message).toContain("x.db must be writable");
    const inside = withoutPrivileges(() => failureOf(() => openDatabase(join(folder, "new"), "x.db", [first])));
    expect(inside.problem).toBe("read-only");
  });

  it("says that a file can't be written", () => {
    openDatabase(folder, "x.db", [first]).close();
    chmodSync(folder, 0o777);
    chmodSync(join(folder, "x.db"), 0o444);
    const failure = withoutPrivileges(() => failureOf(() => openDatabase(folder, "x.db", [first])));
    // access(2) asks for the real user, which stays root when the tests run as root: then SQLite notices first.
    expect(["read-only", "io-error"]).toContain(failure.problem);
  });

  it("says that a file is not a database", () => {
    writeFileSync(join(folder, "x.db"), "this is a text and no database at all, however long it is".repeat(100));
    expect(failureOf(() => openDatabase(folder, "x.db", [first])).problem).toBe("corrupt");
  });

  it("says that the folder is no folder", () => {
    mkdirSync(join(folder, "sub"));
    writeFileSync(join(folder, "sub", "file"), "");
    expect(failureOf(() => openDatabase(join(folder, "sub", "file"), "x.db", [first])).problem).toBe("io-error");
  });
});
