import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AgentPlace, mayRun, runsInReach, type WorkerReach } from "./place-run.ts";

const anyWorker: WorkerReach = { tenant: "", agentIds: [], pool: "", labels: {} };
const agents = new Map<string, AgentPlace>([
  ["main", { pool: "", workerLabels: {} }],
  ["eu", { pool: "", workerLabels: { region: "eu" } }],
  ["gpu", { pool: "gpu", workerLabels: {} }],
]);
const run = (agentId: string, tenant = "local") => ({ tenant, agentId });

describe("a run's worker", () => {
  it.each([
    ["is of the pool that its agent names", anyWorker, run("gpu"), false],
    ["is of that pool alone", { ...anyWorker, pool: "gpu" }, run("main"), false],
    ["of that pool may have it", { ...anyWorker, pool: "gpu" }, run("gpu"), true],
    ["has all of its agent's labels", anyWorker, run("eu"), false],
    ["may have more labels", { ...anyWorker, labels: { region: "eu", arch: "arm64" } }, run("eu"), true],
    ["is no other tenant's", { ...anyWorker, tenant: "acme" }, run("main"), false],
    ["may be its tenant's own", { ...anyWorker, tenant: "acme" }, run("main", "acme"), true],
    ["serves its agent", { ...anyWorker, agentIds: ["eu"] }, run("main"), false],
    ["ends it when its agent is not configured any more", anyWorker, run("gone"), true],
    ["of a named pool does not", { ...anyWorker, pool: "gpu" }, run("gone"), false],
  ] as const)("%s", (_name, worker, of, expected) => {
    expect(mayRun(worker, of, agents)).toBe(expected);
  });

  it("is the same for a claim as for a run that is looked at by itself", () => {
    const ids = ["main", "eu", "gpu", "gone"];
    const workers = fc.record({
      tenant: fc.constantFrom("", "local", "acme"),
      agentIds: fc.subarray(ids),
      pool: fc.constantFrom("", "gpu", "other"),
      labels: fc.constantFrom<Record<string, string>>({}, { region: "eu" }, { region: "us" }),
    });
    fc.assert(
      fc.property(workers, fc.constantFrom(...ids), fc.constantFrom("local", "acme"), (worker, agentId, tenant) => {
        const reach = runsInReach(worker, agents);
        const isFound =
          reach !== undefined &&
          (reach.tenant === "" || reach.tenant === tenant) &&
          (reach.agentIds === undefined || reach.agentIds.includes(agentId)) &&
          !reach.exceptAgentIds.includes(agentId);
        expect(isFound).toBe(mayRun(worker, { tenant, agentId }, agents));
      }),
    );
  });
});
