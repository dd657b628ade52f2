// The contract of SessionStore, continued: lists of sessions.
import { describe, expect, it } from "vitest";
import { InvalidPageToken } from "../../../services/kernel/store/store-errors.ts";
import { accept, makeSession, otherTenant, type SessionStoreDriver, StoreUnderTest, scope } from "./store-fixture.ts";

export function sessionListSuite(driver: SessionStoreDriver): void {
  describe("lists of sessions", () => {
    const test = new StoreUnderTest(driver);
    const all = {
      ...{ pageSize: 2, pageToken: "", states: [], agentId: "", labels: {}, parentSessionId: "", query: "" },
      order: "updated-desc",
    } as const;

    async function listTitles(
      input: Omit<Parameters<typeof test.store.listSessions>[1], "pageToken">,
    ): Promise<string[]> {
      const titles: string[] = [];
      let pageToken = "";
      do {
        const page = await test.store.listSessions(scope, { ...input, pageToken });
        expect(page.sessions.length).toBeLessThanOrEqual(input.pageSize);
        titles.push(...page.sessions.map(({ title }) => title));
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      return titles;
    }

    async function makeFive(): Promise<string[]> {
      const ids: string[] = [];
      for (const title of ["a", "b", "c", "d", "e"]) {
        // Two share a millisecond.
        test.nowMs += title === "c" ? 0 : 1;
        ids.push((await makeSession(test.store, { title, agentId: title < "c" ? "early" : "late" })).sessionId);
      }
      await makeSession(test.store, { title: "hidden" }, otherTenant);
      return ids;
    }

    it("pages through every order without a gap or a repeat", async () => {
      const [first = ""] = await makeFive();
      expect(await listTitles({ ...all, order: "created-asc" })).toEqual(["a", "b", "c", "d", "e"]);
      expect(await listTitles({ ...all, order: "created-desc" })).toEqual(["e", "d", "c", "b", "a"]);
      expect(await listTitles(all)).toEqual(["e", "d", "c", "b", "a"]);
      test.nowMs += 1;
      await accept(test.store, first);
      expect(await listTitles(all)).toEqual(["a", "e", "d", "c", "b"]);
      expect(await listTitles({ ...all, pageSize: 500 })).toHaveLength(5);
      expect(await listTitles({ ...all, pageSize: 5 })).toHaveLength(5);
    });

    it("orders changes by their millisecond, within a second and over many, also when the clock was set back", async () => {
      const ids = await makeFive();
      test.nowMs = 10_000_000;
      for (const [index, afterMs] of [2_500, 999, -61_001, 0, 1_000].entries()) {
        test.nowMs = 10_000_000 + afterMs;
        await accept(test.store, ids[index] ?? "");
      }
      for (const pageSize of [1, 2, 500]) {
        expect(await listTitles({ ...all, pageSize })).toEqual(["a", "e", "b", "d", "c"]);
      }
      for (const [sinceMs, active] of [
        [9_938_999, 5],
        [9_939_000, 4],
        [10_000_001, 3],
        [10_001_000, 2],
        [10_002_501, 0],
      ]) {
        const counts = await test.store.countSessions(scope, { activeSinceMs: sinceMs ?? 0 });
        expect(counts, String(sinceMs)).toMatchObject({ total: 5, active });
      }
    });

    it("filters by state and by agent", async () => {
      const [, second = ""] = await makeFive();
      await accept(test.store, second);
      expect(await listTitles({ ...all, states: ["active"] })).toEqual(["b"]);
      expect(await listTitles({ ...all, states: ["created", "closed"] })).toEqual(["e", "d", "c", "a"]);
      expect(await listTitles({ ...all, agentId: "late", order: "created-asc" })).toEqual(["c", "d", "e"]);
      expect(await listTitles({ ...all, agentId: "late", states: ["active"] })).toEqual([]);
    });

    it("refuses a token that it did not give for this order", async () => {
      await makeFive();
      const { nextPageToken } = await test.store.listSessions(scope, all);
      for (const input of [
        { ...all, pageToken: "nonsense" },
        { ...all, pageToken: nextPageToken, order: "created-asc" as const },
      ]) {
        await expect(test.store.listSessions(scope, input)).rejects.toThrow(InvalidPageToken);
        await expect(test.store.listSessions({ ...scope, tenant: "unknown" }, input)).rejects.toThrow(InvalidPageToken);
      }
    });
  });
}
