import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { agentsOf, mainAgent, sendWords, startSessionService } from "../../../test/support/session-service.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { attachByHand, heldOf } from "./hand-worker.fixture.ts";

const finish = { case: "runFinished", value: { status: RunStatus.COMPLETED } } as const;
const fenced = { reason: ErrorReason.EPOCH_FENCED };

describe("a run", () => {
  it(`is its holder's alone: no other worker writes, renews or gives it back ${verifies("L4")}`, async () => {
    const session = await startSessionService();
    const holder = await attachByHand(session.inMemory, "w1");
    const { runId } = await sendWords(session, "hello");
    const offer = await holder.hear("offer");
    const other = await attachByHand(session.inMemory, "w2", { held: [offer] });
    expect((await other.hear("welcome")).lost).toMatchObject([{ runId }]);
    other.append(offer, 1, finish);
    expect(await other.hear("refused")).toMatchObject(fenced);
    other.renew(offer);
    expect((await other.hear("renewed")).lost).toMatchObject([{ runId }]);
    other.say({
      case: "release",
      value: { $typeName: "atoll.session.v1.ReleaseRun", run: heldOf(offer), reason: "not mine" },
    });
    // Frames of a stream are taken in order: the release was heard before this answer.
    other.renew();
    await other.hear("renewed");
    expect(other.waiting("offer")).toBe(0);
    holder.append(offer, 1, finish);
    expect(await holder.hear("accepted")).toMatchObject({ batchNo: 1n });
  });

  it(`goes to the newest stream of its worker, and the one before has no word in it ${verifies("L4", "R3")}`, async () => {
    const session = await startSessionService();
    const old = await attachByHand(session.inMemory, "w1");
    const { runId, sessionId } = await sendWords(session, "hello");
    const offer = await old.hear("offer");
    const back = await attachByHand(session.inMemory, "w1", { credits: 0, held: [offer] });
    expect((await back.hear("welcome")).lost).toEqual([]);
    // What was long on its way.
    old.renew(offer);
    expect((await old.hear("renewed")).lost).toMatchObject([{ runId }]);
    old.append(offer, 1, finish);
    expect(await old.hear("refused")).toMatchObject(fenced);
    old.cut();
    await sendWords(session, "more", { sessionId, queueMode: 2 });
    expect(await back.hear("command")).toMatchObject({ commandId: 1n, command: { case: "steer" } });
    back.append(offer, 1, finish);
    expect(await back.hear("accepted")).toMatchObject({ batchNo: 1n });
  });
});

describe("an offer", () => {
  it("carries the agent as it is configured, for a worker that knows nothing else", async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    await sendWords(session, "hello");
    const { agent } = await worker.hear("offer");
    expect(agent).toMatchObject({
      ...{ agentId: "main", model: "test/scripted", instructions: "Be brief.", tools: ["*"], maxSteps: 8 },
      ...{ maxOutputTokens: 1_000, thinkingTokens: 0, maxDurationMs: 60_000n, historyMessages: 100, parallelTools: 4 },
      revision: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
  });

  it("goes to a worker of its agent's pool, with its labels, and of its tenant", async () => {
    const eu = { ...mainAgent, id: "eu", pool: "gpu", workerLabels: { region: "eu" } };
    const session = await startSessionService({ settings: { agents: agentsOf(mainAgent, eu) } });
    const plain = await attachByHand(session.inMemory, "w1", { credits: 4 });
    const us = await attachByHand(session.inMemory, "w2", { credits: 4, pool: "gpu", labels: { region: "us" } });
    const others = await attachByHand(session.inMemory, "w3", {
      ...{ credits: 4, pool: "gpu", labels: { region: "eu" }, tenant: "others" },
    });
    await Promise.all([plain, us, others].map((worker) => worker.hear("welcome")));
    const waits = await sendWords(session, "in Europe", { agentId: "eu" });
    const at = await sendWords(session, "anywhere");
    expect((await plain.hear("offer")).run?.runId).toBe(at.runId);
    expect([plain, us, others].map((worker) => worker.waiting("offer"))).toEqual([0, 0, 0]);
    const right = await attachByHand(session.inMemory, "w4", { pool: "gpu", labels: { region: "eu", arch: "arm64" } });
    expect((await right.hear("offer")).run?.runId).toBe(waits.runId);
  });
});
