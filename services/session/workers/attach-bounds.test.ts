import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { as, person, sendWords, startSessionService } from "../../../test/support/session-service.ts";
import { attachByHand, heldOf } from "./hand-worker.fixture.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("a worker that does not read what it is answered", () => {
  it(`has no more batches taken than may be open, and loses none ${verifies("L7")}`, async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    const { sessionId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    const readOn = worker.stopReading();
    const batches = 1_500;
    const by = { case: "sessionId", value: sessionId } as const;
    const headSeq = async () => Number((await session.client.getSession({ by }, as(person))).session?.headSeq ?? 0n);
    const before = await headSeq();
    for (let batchNo = 1; batchNo <= batches; batchNo++) {
      worker.append(offer, batchNo, { case: "stepStarted", value: {} });
    }
    let head = before;
    for (let still = 0; still < 5; still++) {
      await pause(100);
      const now = await headSeq();
      if (now !== head) still = 0;
      head = now;
    }
    expect(head - before).toBeGreaterThan(1_000);
    expect(head - before).toBeLessThan(1_100);
    readOn();
    for (let batchNo = 1; batchNo <= batches; batchNo++) {
      expect((await worker.hear("accepted")).batchNo).toBe(BigInt(batchNo));
    }
    expect((await headSeq()) - before).toBe(batches);
  });

  it(`loses its run, however often it renews ${verifies("L7", "R2")}`, async () => {
    const session = await startSessionService({ settings: { leaseTtlMs: 300 } });
    const worker = await attachByHand(session.inMemory, "w1");
    const { runId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    worker.stopReading();
    const timer = setInterval(() => worker.renew(offer), 20);
    const next = await attachByHand(session.inMemory, "w2");
    const taken = await Promise.race([next.hear("offer"), pause(5_000)]);
    clearInterval(timer);
    expect(taken).toMatchObject({ run: { runId, epoch: 2n } });
  });
});

describe("a renewal", () => {
  it("of ten thousand runs that are lost costs no more than naming them", async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    await sendWords(session, "hello");
    const known = heldOf(await worker.hear("offer"));
    const unknown = Array.from({ length: 9_999 }, (_, index) => ({ ...known, runId: `run_${index}` }));
    const before = process.cpuUsage();
    worker.say({ case: "renew", value: { $typeName: "atoll.session.v1.RenewLeases", held: [known, ...unknown] } });
    const { lost } = await worker.hear("renewed");
    const { user } = process.cpuUsage(before);
    expect(lost.map(({ runId }) => runId)).toEqual(unknown.map(({ runId }) => runId));
    // Comparing each with each takes about 850.
    expect(user / 1_000).toBeLessThan(450);
  });
});
