import { describe, expect, it, vi } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { RunState } from "../../../gen/atoll/session/v1/run_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { as, person, sendWords, startSessionService } from "../../../test/support/session-service.ts";
import { newId } from "../../kernel/id.ts";
import { StoreUnavailable } from "../../kernel/store/store-errors.ts";
import { attachByHand } from "./hand-worker.fixture.ts";

describe("a claim whose hand-over fails", () => {
  it(`costs no credit, holds up no other claim, and is given out again ${verifies("R2")}`, async () => {
    const session = await startSessionService({ settings: { reattachGraceMs: 50 } });
    const first = await sendWords(session, "hello");
    const second = await sendWords(session, "hello");
    vi.spyOn(session.store, "listCommands").mockRejectedValueOnce(new StoreUnavailable("io-error"));
    const worker = await attachByHand(session.inMemory, "w1", { credits: 2 });
    expect((await worker.hear("offer")).run).toMatchObject({ runId: second.runId, attempt: 1 });
    expect((await worker.hear("offer")).run).toMatchObject({ runId: first.runId, attempt: 2 });
  });
});

describe("a run that can't be taken over", () => {
  it(`holds up neither the others whose worker is gone nor those that wait ${verifies("R2", "R4")}`, async () => {
    const session = await startSessionService({ settings: { reattachGraceMs: 50 } });
    const lost = await attachByHand(session.inMemory, "w1", { credits: 2 });
    const [stuck, other] = [await sendWords(session, "hello"), await sendWords(session, "hello")];
    await lost.hear("offer");
    await lost.hear("offer");
    const { takeOverRun } = session.store;
    vi.spyOn(session.store, "takeOverRun").mockImplementation((run, events) =>
      run.runId === stuck.runId ? Promise.reject(new StoreUnavailable("io-error")) : takeOverRun(run, events),
    );
    lost.cut();
    const worker = await attachByHand(session.inMemory, "w2", { credits: 3 });
    expect((await worker.hear("offer")).run).toMatchObject({ runId: other.runId, attempt: 2 });
    const waiting = await sendWords(session, "hello");
    expect((await worker.hear("offer")).run).toMatchObject({ runId: waiting.runId, attempt: 1 });
  });
});

describe("a cancelled run whose worker does not stop", () => {
  it(`ends although the store refuses its end at first ${verifies("R2", "R5")}`, async () => {
    const session = await startSessionService({ settings: { cancelGraceMs: 50, leaseTtlMs: 60_000 } });
    const worker = await attachByHand(session.inMemory, "w1");
    const { runId } = await sendWords(session, "hello");
    await worker.hear("offer");
    const finishRun = vi.spyOn(session.store, "finishRun").mockRejectedValueOnce(new StoreUnavailable("disk-full"));
    await session.client.cancelRun({ requestId: newId("req"), runId }, as(person));
    const { run } = await session.client.waitRun({ runId, timeoutMs: 5_000 }, as(person));
    expect(run).toMatchObject({ state: RunState.FINISHED, status: RunStatus.CANCELLED });
    expect(finishRun).toHaveBeenCalledTimes(2);
  });
});
