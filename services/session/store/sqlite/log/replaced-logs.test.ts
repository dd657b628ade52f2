/** A store that went back, in every way that a folder can be put back. */
import { cpSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { append, batchOf, scope, startRun } from "../../../../../test/contract/session-store/store-fixture.ts";
import { verifies } from "../../../../../test/requirements.ts";
import type { RunRow } from "../../rows.ts";
import type { SessionStore } from "../../session-store.ts";
import { openSqliteSessionStore } from "../sqlite-session-store.ts";

let folder = "";
let copy = "";
let store: SessionStore;
let run: RunRow;
let warnings: string[] = [];

const open = (dataDir = folder): SessionStore =>
  openSqliteSessionStore(dataDir, Date.now, { onWarning: (_facts, message) => warnings.push(message) });
const logIdOf = async (): Promise<string | undefined> =>
  (await store.getSession(scope, { sessionId: run.sessionId }))?.logId;
const feedOf = async (): Promise<string> => (await store.readIndex(scope, { afterSeq: 0, limit: 1 })).feedId;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "atoll-went-back-"));
  copy = `${folder}-copy`;
  warnings = [];
  store = open();
  ({ run } = await startRun(store));
  await append(store, batchOf(run, 1));
});
afterEach(async () => {
  await store.close();
  for (const each of [folder, copy]) rmSync(each, { recursive: true, force: true });
});

/** The state as it is now, as a backup has it; then the log goes on. */
async function backUp(): Promise<void> {
  await store.close();
  cpSync(folder, copy, { recursive: true });
  store = open();
  await append(store, batchOf(run, 2));
}

async function expectReplaced(before: { readonly logId: string | undefined; readonly feedId: string }): Promise<void> {
  expect(await logIdOf()).not.toBe(before.logId);
  expect(await logIdOf()).toMatch(/^log_[0-9A-Z]{26}$/);
  expect(await feedOf()).not.toBe(before.feedId);
  expect(warnings).toEqual([expect.stringContaining("older than it was, or a copy")]);
}

const names = async () => ({ logId: await logIdOf(), feedId: await feedOf() });

describe(`a store that went back ${verifies("FL5")}`, () => {
  it("has new names for its logs and its feed when session.db alone was put back", async () => {
    await backUp();
    const before = await names();
    await store.close();
    cpSync(join(copy, "session.db"), join(folder, "session.db"));
    store = open();
    await expectReplaced(before);
  });

  it("has them when a copy was laid over the folder", async () => {
    await backUp();
    const before = await names();
    await store.close();
    cpSync(copy, folder, { recursive: true });
    store = open();
    await expectReplaced(before);
  });

  it("has them when a copy took the place of the folder, its witness with it", async () => {
    await backUp();
    const before = await names();
    await store.close();
    rmSync(folder, { recursive: true });
    cpSync(copy, folder, { recursive: true });
    store = open();
    await expectReplaced(before);
  });

  it("has them when the write-ahead log was cut short while the process was down", async () => {
    await backUp();
    const before = await names();
    // As a kill leaves it: the newest changes are in the log alone.
    rmSync(copy, { recursive: true });
    await expect.poll(() => readdirSync(folder).filter((name) => name.endsWith(".head")).length).toBe(1);
    const headOf = () => readdirSync(folder).find((name) => name.endsWith(".head"));
    const written = headOf();
    await append(store, batchOf(run, 3));
    await expect.poll(headOf).not.toBe(written);
    cpSync(folder, copy, { recursive: true });
    await store.close();
    rmSync(folder, { recursive: true });
    cpSync(copy, folder, { recursive: true });
    truncateSync(join(folder, "session.db-wal"), 0);
    store = open();
    await expectReplaced(before);
  });

  it("keeps them from then on", async () => {
    await backUp();
    await store.close();
    cpSync(join(copy, "session.db"), join(folder, "session.db"));
    store = open();
    const after = await names();
    for (let start = 0; start < 2; start++) {
      await store.close();
      store = open();
      expect(await names()).toEqual(after);
    }
    expect(warnings).toHaveLength(1);
  });
});

describe("a store that did not go back", () => {
  it("keeps its names over starts, deletions, retention and compaction", async () => {
    const before = await names();
    for (let start = 0; start < 3; start++) {
      await append(store, batchOf(run, start + 2));
      await store.compactLogs({ maxWindows: 10 });
      await store.close();
      store = open();
      expect(await names()).toEqual(before);
    }
    expect(warnings).toEqual([]);
    expect(readdirSync(folder).filter((name) => name.endsWith(".head"))).toHaveLength(1);
  });

  it("keeps them without a witness, and with one that the machine's end left broken", async () => {
    const before = await names();
    for (const content of [undefined, "", "{", '{"heads":3}']) {
      await store.close();
      for (const name of readdirSync(folder).filter((each) => each.endsWith(".head"))) {
        if (content === undefined) rmSync(join(folder, name));
        else writeFileSync(join(folder, name), content);
      }
      store = open();
      expect(await names()).toEqual(before);
    }
    expect(warnings).toEqual([]);
  });
});
