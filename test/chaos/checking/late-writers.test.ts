import { expect, it } from "vitest";
import type { FaultRecord } from "../history.ts";
import { countLateWriters } from "./late-writers.ts";
import { finished, logOf, queued, received } from "./synthetic.fixture.ts";

/** Worker w1 holds the run from 1 s on, w2 takes it over at 13 s. */
const log = logOf(
  received("m0"),
  queued(["m0"]),
  { body: "runStarted", worker: "w1", wallMs: 101_000 },
  { body: "runResumed", worker: "w2", wallMs: 113_000, attempt: 2 },
  finished(),
);
const frozen: FaultRecord = { kind: "frozen", service: "agent-1", workerIds: ["w1"], forMs: 5_000, atMs: 10_000 };
const count = (...faults: readonly FaultRecord[]): number =>
  countLateWriters([log], faults, (wallMs) => wallMs - 100_000);

it("counts a worker that was frozen when its run was taken over", () => {
  expect(count(frozen)).toBe(1);
});

it("does not count one that woke first, or that did not hold the run", () => {
  expect(count({ ...frozen, forMs: 2_000 })).toBe(0);
  expect(count({ ...frozen, workerIds: ["w3"] })).toBe(0);
});

it("does not count one that something else kept from writing", () => {
  expect(count(frozen, { kind: "killed", services: ["agent-1"], workerIds: ["w1"], atMs: 14_000 })).toBe(0);
  expect(count(frozen, { kind: "killed", services: ["session"], workerIds: [], atMs: 11_000 })).toBe(0);
  expect(count(frozen, { kind: "draining", service: "session", atMs: 11_000 })).toBe(0);
  expect(count(frozen, { kind: "cut", proxy: "worker-1", connections: 1, atMs: 12_000 })).toBe(0);
  expect(count(frozen, { kind: "dark", proxy: "worker-1", forMs: 3_000, connections: 1, atMs: 9_000 })).toBe(0);
  for (const proxy of ["worker-2", "session"]) {
    expect(count(frozen, { kind: "cut", proxy, connections: 1, atMs: 12_000 })).toBe(1);
  }
});
