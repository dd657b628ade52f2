// The contract of CallLedger, for every driver.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StoreUnavailable } from "../../services/kernel/store/store-errors.ts";
import type { CallIntent, CallLedger } from "../../services/toolrouter/ledger/call-ledger.ts";
import { verifies } from "../requirements.ts";

/** `folder` is empty at first and names the same ledger when it is opened again. */
export interface CallLedgerDriver {
  readonly open: (folder: string, nowMs: () => number) => Promise<CallLedger>;
}

const scope = { tenant: "local", principal: "worker:1" };
const otherTenant = { tenant: "other", principal: "worker:1" };
const owner = { ...scope, runId: "run" };
const result = Uint8Array.of(1, 2, 3);
const otherResult = Uint8Array.of(4);

function intent(changes: Partial<CallIntent> = {}): CallIntent {
  return { callId: "call", tool: "files.read", digest: "d", sessionId: "session", runId: "run", epoch: 1, ...changes };
}

export function callLedgerSuite(name: string, driver: CallLedgerDriver): void {
  describe(`${name} ${verifies("L2")}`, () => {
    let nowMs = 1_700_000_000_000;
    let folder = "";
    let ledger: CallLedger;
    const open = () => driver.open(folder, () => nowMs);

    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), "atoll-ledger-"));
      ledger = await open();
    });
    afterEach(async () => {
      await ledger.close();
      rmSync(folder, { recursive: true, force: true });
    });
    async function reopen(): Promise<void> {
      await ledger.close();
      ledger = await open();
    }

    it(`lets a call through once, also after a restart ${verifies("L5", "T1")}`, async () => {
      const both = await Promise.all([
        ledger.begin(scope, "router-1", intent()),
        ledger.begin(scope, "router-1", intent()),
      ]);
      expect(both).toEqual([{ kind: "dispatch" }, { kind: "open", instanceId: "router-1" }]);
      await reopen();
      expect(await ledger.begin(scope, "router-2", intent())).toEqual({ kind: "open", instanceId: "router-1" });
    });

    it(`gives a finished call's outcome instead of calling again ${verifies("L5", "T1")}`, async () => {
      await ledger.begin(scope, "router-1", intent());
      expect(await ledger.finish(owner, "call", result)).toEqual(result);
      await reopen();
      expect(await ledger.begin(scope, "router-1", intent())).toEqual({ kind: "finished", result });
    });

    it(`keeps the first outcome of a call ${verifies("T1")}`, async () => {
      await ledger.begin(scope, "router-1", intent());
      const both = await Promise.all([ledger.finish(owner, "call", result), ledger.finish(owner, "call", otherResult)]);
      expect(both).toEqual([result, result]);
      expect(await ledger.finish(owner, "call", otherResult)).toEqual(result);
    });

    it("refuses an outcome of a call that was never let through", async () => {
      await expect(ledger.finish(owner, "call", result)).rejects.toThrow("never begun");
      await ledger.reattach(scope, "call", { runId: "run", epoch: 1 });
      await expect(ledger.finish(owner, "call", result)).rejects.toThrow("never begun");
    });

    it("refuses an id that was used for another call", async () => {
      await ledger.begin(scope, "router-1", intent());
      expect(await ledger.begin(scope, "router-1", intent({ digest: "another" }))).toEqual({ kind: "other-call" });
      await ledger.finish(owner, "call", result);
      expect(await ledger.begin(scope, "router-1", intent({ digest: "another" }))).toEqual({ kind: "other-call" });
    });

    it(`refuses a worker whose run has a newer epoch ${verifies("L5")}`, async () => {
      await ledger.begin(scope, "router-1", intent({ epoch: 1 }));
      await ledger.begin(scope, "router-1", intent({ callId: "second", epoch: 3 }));
      const stale = { kind: "stale-epoch", epoch: 3 };
      expect(await ledger.begin(scope, "router-1", intent({ callId: "third", epoch: 2 }))).toEqual(stale);
      expect(await ledger.begin(scope, "router-1", intent({ epoch: 1 }))).toEqual(stale);
      expect(await ledger.reattach(scope, "call", { runId: "run", epoch: 2 })).toEqual(stale);
      await reopen();
      expect(await ledger.begin(scope, "router-1", intent({ callId: "third", epoch: 2 }))).toEqual(stale);
      // The refused call left no trace: its id is free.
      expect(await ledger.begin(scope, "router-1", intent({ callId: "third", epoch: 3 }))).toEqual({
        kind: "dispatch",
      });
    });

    it("compares epochs only within a run and a tenant", async () => {
      await ledger.begin(scope, "router-1", intent({ epoch: 5 }));
      const dispatch = { kind: "dispatch" };
      expect(await ledger.begin(scope, "router-1", intent({ callId: "b", runId: "other" }))).toEqual(dispatch);
      expect(await ledger.begin(otherTenant, "router-1", intent())).toEqual(dispatch);
    });

    it("lets calls outside a run through", async () => {
      const outside = { runId: "", epoch: 0 };
      expect(await ledger.begin(scope, "router-1", intent(outside))).toEqual({ kind: "dispatch" });
      expect(await ledger.begin(scope, "router-1", intent({ ...outside, callId: "b" }))).toEqual({ kind: "dispatch" });
      expect(await ledger.reattach(scope, "call", outside)).toEqual({ kind: "open", instanceId: "router-1" });
    });

    it(`refuses a call that somebody looked for before it came ${verifies("T2")}`, async () => {
      expect(await ledger.reattach(scope, "call", { runId: "run", epoch: 1 })).toEqual({ kind: "tombstoned" });
      await reopen();
      expect(await ledger.begin(scope, "router-1", intent())).toEqual({ kind: "tombstoned" });
      expect(await ledger.reattach(scope, "call", { runId: "run", epoch: 1 })).toEqual({ kind: "tombstoned" });
    });

    it(`reattaches to open and to finished calls ${verifies("T2")}`, async () => {
      await ledger.begin(scope, "router-1", intent());
      const again = { runId: "run", epoch: 2 };
      expect(await ledger.reattach(scope, "call", again)).toEqual({ kind: "open", instanceId: "router-1" });
      await ledger.finish(owner, "call", result);
      expect(await ledger.reattach(scope, "call", again)).toEqual({ kind: "finished", result });
      // Reattaching with a newer epoch fences the old one.
      expect(await ledger.begin(scope, "router-1", intent())).toEqual({ kind: "stale-epoch", epoch: 2 });
    });

    it("tells a run nothing of another run's call, and leaves that call alone", async () => {
      await ledger.begin(scope, "router-1", intent());
      await ledger.finish(owner, "call", result);
      expect(await ledger.reattach(scope, "call", { runId: "other", epoch: 1 })).toEqual({ kind: "tombstoned" });
      expect(await ledger.begin(scope, "router-1", intent())).toEqual({ kind: "finished", result });
    });

    it(`keeps the ids of a run, and of a caller outside of runs, apart from all others ${verifies("E4")}`, async () => {
      const dispatch = { kind: "dispatch" };
      // Given up, or used, before the one comes whose id it is.
      expect(await ledger.reattach(scope, "call", { runId: "other", epoch: 1 })).toEqual({ kind: "tombstoned" });
      expect(await ledger.begin(scope, "router-1", intent())).toEqual(dispatch);
      const other = { ...scope, principal: "user:eve" };
      expect(await ledger.begin(scope, "router-1", intent({ runId: "", epoch: 0 }))).toEqual(dispatch);
      await ledger.finish({ ...scope, runId: "" }, "call", result);
      expect(await ledger.begin(other, "router-1", intent({ runId: "", epoch: 0 }))).toEqual(dispatch);
      expect(await ledger.begin(other, "router-1", intent({ runId: "run", epoch: 0 }))).toEqual(dispatch);
      expect(await ledger.begin(scope, "router-1", intent())).toEqual({ kind: "open", instanceId: "router-1" });
    });

    it("tells a caller without a lease nothing of a run's epoch, and moves it nowhere", async () => {
      await ledger.begin(scope, "router-1", intent({ epoch: 3 }));
      const outside = { runId: "run", epoch: 0 };
      expect(await ledger.begin(scope, "router-1", intent({ ...outside, callId: "b" }))).toEqual({ kind: "dispatch" });
      expect(await ledger.begin(scope, "router-1", intent({ callId: "c", epoch: 3 }))).toEqual({ kind: "dispatch" });
    });

    it("shows a tenant nothing of another", async () => {
      await ledger.begin(scope, "router-1", intent());
      expect(await ledger.begin(otherTenant, "router-1", intent({ digest: "another" }))).toEqual({ kind: "dispatch" });
      await ledger.finish({ ...otherTenant, runId: "run" }, "call", otherResult);
      expect(await ledger.begin(scope, "router-1", intent())).toEqual({ kind: "open", instanceId: "router-1" });
    });

    it("forgets old calls that are settled, and never an open one", async () => {
      await ledger.begin(scope, "router-1", intent({ callId: "open", runId: "open-run" }));
      await ledger.begin(scope, "router-1", intent({ callId: "old", epoch: 4 }));
      await ledger.finish(owner, "old", result);
      await ledger.reattach(scope, "tombstone", { runId: "run", epoch: 4 });
      const sweptBefore = nowMs + 1;
      nowMs += 10;
      await ledger.begin(scope, "router-1", intent({ callId: "young", runId: "young-run" }));
      await ledger.finish({ ...owner, runId: "young-run" }, "young", result);
      expect(await ledger.sweep(sweptBefore)).toBe(2);
      expect(await ledger.sweep(sweptBefore)).toBe(0);
      await reopen();
      const open = intent({ callId: "open", runId: "open-run" });
      expect((await ledger.begin(scope, "router-1", open)).kind).toBe("open");
      const young = intent({ callId: "young", runId: "young-run" });
      expect((await ledger.begin(scope, "router-1", young)).kind).toBe("finished");
      expect((await ledger.begin(scope, "router-1", intent({ callId: "old", epoch: 1 }))).kind).toBe("dispatch");
    });

    it("refuses every call after it was closed", async () => {
      await ledger.close();
      await expect(ledger.begin(scope, "router-1", intent())).rejects.toThrow(StoreUnavailable);
    });
  });
}
