// The contract of SessionStore, continued: lists of runs.
import { describe, expect, it } from "vitest";
import { InvalidPageToken } from "../../../services/kernel/store/store-errors.ts";
import type { ListRunsInput } from "../../../services/session/store/session-store.ts";
import {
  accept,
  append,
  claimOne,
  lastBatchOf,
  makeSession,
  otherTenant,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
} from "./store-fixture.ts";

export function sessionRunListSuite(driver: SessionStoreDriver): void {
  describe("lists of runs", () => {
    const test = new StoreUnderTest(driver);

    /** Every page, newest first, checked for its size. */
    async function listRuns(input: Partial<ListRunsInput>, by = scope): Promise<string[]> {
      const all = { pageSize: 2, pageToken: "", sessionId: "", states: [], agentId: "", ...input };
      const found: string[] = [];
      do {
        const page = await test.store.listRuns(by, all);
        expect(page.runs.length).toBeLessThanOrEqual(all.pageSize);
        found.push(...page.runs.map(({ runId }) => runId));
        all.pageToken = page.nextPageToken;
      } while (all.pageToken !== "");
      return found;
    }

    /** Five runs of two sessions, in turn; the first is over, the second is running. */
    async function makeFive(): Promise<readonly [string, string]> {
      const { sessionId: even } = await makeSession(test.store, { agentId: "early" });
      const { sessionId: odd } = await makeSession(test.store, { agentId: "late" });
      for (let number = 0; number < 5; number++) {
        await accept(test.store, number % 2 === 0 ? even : odd, { runId: `run_${number}` });
      }
      const { sessionId: hidden } = await makeSession(test.store, {}, otherTenant);
      await accept(test.store, hidden, { runId: "run_9" }, otherTenant);
      await append(test.store, lastBatchOf((await claimOne(test.store)).run, 1));
      await claimOne(test.store);
      return [even, odd];
    }

    it("pages through all of a tenant and through those of a session, newest first", async () => {
      const [even, odd] = await makeFive();
      for (const pageSize of [1, 2, 500]) {
        expect(await listRuns({ pageSize })).toEqual(["run_4", "run_3", "run_2", "run_1", "run_0"]);
        expect(await listRuns({ pageSize, sessionId: even })).toEqual(["run_4", "run_2", "run_0"]);
        expect(await listRuns({ pageSize, sessionId: odd })).toEqual(["run_3", "run_1"]);
      }
      expect(await listRuns({}, otherTenant)).toEqual(["run_9"]);
      expect(await listRuns({ sessionId: even }, otherTenant)).toEqual([]);
      expect(await listRuns({ sessionId: "no-such-session" })).toEqual([]);
    });

    it("filters by state and by agent, also where a page has none", async () => {
      const [even] = await makeFive();
      expect(await listRuns({ pageSize: 1, states: ["finished"] })).toEqual(["run_0"]);
      expect(await listRuns({ states: ["running", "finished"] })).toEqual(["run_1", "run_0"]);
      expect(await listRuns({ states: ["queued"], sessionId: even })).toEqual(["run_4", "run_2"]);
      expect(await listRuns({ agentId: "late" })).toEqual(["run_3", "run_1"]);
      expect(await listRuns({ agentId: "late", sessionId: even })).toEqual([]);
    });

    it("refuses a page token of another list", async () => {
      await makeFive();
      const all = { pageSize: 2, sessionId: "", states: [], agentId: "" };
      for (const pageToken of ["x", "cnVu", Buffer.from("run_'; --").toString("base64url")]) {
        await expect(test.store.listRuns(scope, { ...all, pageToken })).rejects.toThrow(InvalidPageToken);
      }
    });
  });
}
