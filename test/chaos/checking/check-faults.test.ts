import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FaultRecord } from "../history.ts";
import { type Aftermath, checkFaults, readFaults } from "./check-faults.ts";
import { type HistoryFolder, openHistoryFolder } from "./synthetic.fixture.ts";

let folder: HistoryFolder;
beforeEach(() => {
  folder = openHistoryFolder();
});
afterEach(() => folder.remove());

const killed = (...services: string[]): FaultRecord => ({ kind: "killed", services, workerIds: [], atMs: 1 });
const frozen: FaultRecord = { kind: "frozen", service: "agent-1", workerIds: [], forMs: 5_000, atMs: 2 };
const cut = (connections: number): FaultRecord => ({ kind: "cut", proxy: "session", connections, atMs: 3 });
const drained = (changes: object = {}): FaultRecord => ({
  ...{ kind: "drained", service: "agent-1", code: "0", tookMs: 900, atMs: 4 },
  ...changes,
});
const clock: FaultRecord = { kind: "clock", aheadMs: 3_900_000, atMs: 5 };
const kinds = ["kill", "kill all", "freeze", "cut", "drain", "clock"] as const;
/** One for each of `kinds`, in their order. */
const allLanded = [killed("session"), killed("session", "agent-1"), frozen, cut(1), drained(), clock];
const sound: Aftermath = {
  due: new Set(kinds),
  lateWriters: 10,
  lateWrites: 3,
  resumeMs: [900, 4_000],
  takeoverMs: [2_100],
};

async function problemsOf(records: readonly FaultRecord[], after: Partial<Aftermath> = {}): Promise<string[]> {
  const problems: string[] = [];
  const faults = await readFaults(folder.write("faults.jsonl", records));
  checkFaults(faults, { ...sound, ...after }, (problem) => problems.push(problem));
  return problems;
}

describe("what was planned", () => {
  it("finds nothing when each kind landed once", async () => {
    expect(await problemsOf(allLanded)).toEqual([]);
  });

  it("finds each kind of fault that was due and did not land", async () => {
    const proves = "landed, though the plan had one: a run without its faults proves nothing";
    for (const [index, kind] of kinds.entries()) {
      expect(await problemsOf(allLanded.toSpliced(index, 1))).toEqual([`no ${kind} ${proves}`]);
    }
    expect(await problemsOf(allLanded.with(3, cut(0)))).toEqual([`no cut ${proves}`]);
  });

  it("expects nothing that was not due", async () => {
    expect(await problemsOf([killed("session")], { due: new Set(["kill"]) })).toEqual([]);
  });

  it("finds a service that ended by itself", async () => {
    const died: FaultRecord = { kind: "died", service: "session", code: "1", atMs: 4 };
    expect(await problemsOf([...allLanded, died])).toEqual(["a service ended by itself: session with 1"]);
  });

  it("finds a service that was asked to end and failed, or took too long", async () => {
    expect(await problemsOf([...allLanded, drained({ code: "1" })])).toEqual([
      "a service that was asked to end did so with 1: agent-1",
    ]);
    expect(await problemsOf([...allLanded, drained({ tookMs: 36_000 })])).toEqual([
      "agent-1 took 36000 ms to end, more than 35000",
    ]);
  });
});

describe("what followed", () => {
  it("finds frozen workers of which none was refused a late write", async () => {
    expect(await problemsOf(allLanded, { lateWriters: 4, lateWrites: 0 })).toEqual([
      "L4 4 frozen workers woke without their runs, and no late write was refused",
    ]);
    expect(await problemsOf(allLanded, { lateWriters: 1, lateWrites: 0 })).toEqual([]);
  });

  it("finds waits that only a broken mesh has", async () => {
    expect(await problemsOf(allLanded, { resumeMs: [100, 31_000] })).toEqual([
      "S2 a reader waited 31000 ms for a service that was back, more than 30000",
    ]);
    expect(await problemsOf(allLanded, { takeoverMs: [30_500, 100] })).toEqual([
      "R2 a run was without a worker for 30500 ms, more than 30000",
    ]);
    expect(await problemsOf(allLanded, { resumeMs: [], takeoverMs: [] })).toEqual([]);
  });
});
