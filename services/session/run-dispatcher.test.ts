import { describe, expect, it, vi } from "vitest";
import { verifies } from "../../test/requirements.ts";
import { sendWords, startSessionService } from "../../test/support/session-service.ts";
import { StoreUnavailable } from "../kernel/store/store-errors.ts";
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
