import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { StoreUnavailable } from "../store-errors.ts";
import { GroupCommit, probeTable } from "./group-commit.ts";
import { openDatabase } from "./open-database.ts";

let folder = "";
let database: DatabaseSync;
let commits: GroupCommit;
let clockReads = 0;
let rollbacks = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "atoll-commit-"));
  database = openDatabase(folder, "x.db", [`${probeTable} CREATE TABLE kept (value) `]);
  clockReads = 0;
  rollbacks = 0;
  commits = new GroupCommit(
    database,
    () => ++clockReads,
    () => rollbacks++,
  );
});
afterEach(() => {
  commits.close();
  rmSync(folder, { recursive: true, force: true });
});

const insert = (value: number | string) => () => {
  database.prepare("INSERT INTO kept VALUES (?)").run(value);
  return value;
};
const insertBytes = (bytes: number) => () => database.exec(`INSERT INTO kept VALUES (zeroblob(${bytes}))`);
const kept = () =>
  database
    .prepare("SELECT value FROM kept")
    .all()
    .map(({ value }) => value);

/** Leaves room for `pages` more pages of 4 KiB. */
function leaveRoom(pages: number): void {
  const count = Number(database.prepare("PRAGMA page_count").get()?.page_count);
  database.exec(`PRAGMA max_page_count = ${count + pages}`);
}

describe("group commit", () => {
  it(`commits the changes of one tick in one transaction ${verifies("S4")}`, async () => {
    const written = await Promise.all([1, 2, 3].map((value) => commits.write(insert(value))));
    expect(written).toEqual([1, 2, 3]);
    expect(kept()).toEqual([1, 2, 3]);
    expect(clockReads).toBe(1);
  });

  it(`bounds a group, and commits the rest in the next ones ${verifies("L7")}`, async () => {
    const values = Array.from({ length: 1_100 }, (_value, index) => index);
    await Promise.all(values.map((value) => commits.write(insert(value))));
    expect(kept()).toEqual(values);
    expect(clockReads).toBe(3);
  });

  it(`refuses changes over the bound of its queue, and keeps those before ${verifies("L7")}`, async () => {
    const writes = Array.from({ length: 65_537 }, () => commits.write(() => undefined));
    const settled = await Promise.allSettled(writes);
    expect(settled.filter(({ status }) => status === "fulfilled").length).toBe(65_536);
    expect(settled.at(-1)).toMatchObject({ status: "rejected", reason: { problem: "busy" } });
    await commits.write(insert("later"));
    expect(kept()).toEqual(["later"]);
  });

  it(`runs each change of a group alone when one throws ${verifies("L4")}`, async () => {
    const fault = new Error("a change's own fault");
    const settled = await Promise.allSettled([
      commits.write(insert(1)),
      commits.write(() => {
        insert(2)();
        throw fault;
      }),
      commits.write(insert(3)),
    ]);
    expect(settled).toMatchObject([{ value: 1 }, { reason: fault }, { value: 3 }]);
    expect(kept()).toEqual([1, 3]);
    expect(rollbacks).toBe(2);
  });

  it(`writes nothing on a full disk, not even what would fit, until a probe commits ${verifies("L9")}`, async () => {
    leaveRoom(8);
    await expect(commits.write(insertBytes(100_000))).rejects.toMatchObject({ problem: "disk-full" });
    // This one would fit into the 8 pages.
    await expect(commits.write(insert(1))).rejects.toMatchObject({ problem: "disk-full" });
    await sleep(300);
    // The probe is larger than what is free.
    await expect(commits.write(insert(2))).rejects.toMatchObject({ problem: "disk-full" });
    leaveRoom(1_000);
    // The next probe comes after its interval only.
    await expect(commits.write(insert(3))).rejects.toMatchObject({ problem: "disk-full" });
    await sleep(300);
    await commits.write(insert(4));
    expect(kept()).toEqual([4]);
  });

  it("fails a whole group when the disk is full", async () => {
    leaveRoom(8);
    const settled = await Promise.allSettled([
      commits.write(insert(1)),
      commits.write(insertBytes(100_000)),
      commits.write(insert(2)),
    ]);
    expect(settled.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(kept()).toEqual([]);
  });

  it(`fails a whole group when SQLite took back its transaction and a change went on ${verifies("S4")}`, async () => {
    const settled = await Promise.allSettled([
      commits.write(insert(1)),
      commits.write(() => {
        insert(2)();
        // As SQLite does by itself after an I/O error; what follows would be committed alone.
        database.exec("ROLLBACK");
      }),
      commits.write(insert(3)),
    ]);
    expect(settled).toMatchObject(Array.from({ length: 3 }, () => ({ reason: { problem: "io-error" } })));
    expect(kept()).toEqual([]);
    await sleep(300);
    await commits.write(insert(4));
    expect(kept()).toEqual([4]);
  });

  it("refuses writes while the database is read-only", async () => {
    database.exec("PRAGMA query_only = ON");
    await expect(commits.write(insert(1))).rejects.toMatchObject({ problem: "read-only" });
    await expect(commits.write(insert(2))).rejects.toMatchObject({ problem: "read-only" });
    database.exec("PRAGMA query_only = OFF");
    await sleep(300);
    expect(await commits.write(insert(3))).toBe(3);
  });

  it("commits what is queued when it closes, and refuses what comes later", async () => {
    const before = commits.write(insert(1));
    commits.close();
    commits.close();
    expect(await before).toBe(1);
    await expect(commits.write(insert(2))).rejects.toThrow(StoreUnavailable);
    database = openDatabase(folder, "x.db", [""]);
    expect(kept()).toEqual([1]);
    database.close();
  });
});
