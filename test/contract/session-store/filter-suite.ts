// The contract of SessionStore.listSessions: its filters, alone and together.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { everything, talksIn } from "./search-fixture.ts";
import { makeSession, type SessionStoreDriver, StoreUnderTest, scope } from "./store-fixture.ts";

export function sessionFilterSuite(driver: SessionStoreDriver): void {
  describe("filters", () => {
    const test = new StoreUnderTest(driver);
    const { list, indexAll, say, makeTalk } = talksIn(test);

    it("filters by labels, all of which must be there as they are", async () => {
      const labels = { team: "blue", "a.b['c']": '"x"\n', "": "empty" };
      await makeSession(test.store, { title: "all", labels });
      await makeSession(test.store, { title: "one", labels: { team: "blue" } });
      await makeSession(test.store, { title: "none" });
      expect(await list({ labels: { team: "blue" } })).toEqual(["all", "one"]);
      expect(await list({ labels })).toEqual(["all"]);
      expect(await list({ labels: { team: "blu" } })).toEqual([]);
      expect(await list({ labels: { team: "blue", other: "" } })).toEqual([]);
      expect(await list({ labels: { blue: "team" } })).toEqual([]);
      const strange = fc.string({ unit: "binary", maxLength: 12 }).filter((text) => text.isWellFormed());
      await fc.assert(
        fc.asyncProperty(strange, strange, async (key, value) => {
          const { sessionId } = await makeSession(test.store, { title: "strange", labels: { [key]: value } });
          const found = await test.store.listSessions(scope, { ...everything, labels: { [key]: value } });
          expect(found.sessions.map((session) => session.sessionId)).toContain(sessionId);
          expect(await list({ labels: { [key]: `${value}.` } })).toEqual([]);
        }),
        { numRuns: 50 },
      );
    });

    it("lists the children of a session", async () => {
      const { sessionId } = await makeSession(test.store, { title: "parent" });
      for (const title of ["a", "b"]) await makeSession(test.store, { title, parentSessionId: sessionId });
      await makeSession(test.store, { title: "c", parentSessionId: "another" });
      expect(await list({ parentSessionId: sessionId })).toEqual(["a", "b"]);
      expect(await list({ parentSessionId: "nobody" })).toEqual([]);
    });

    it("pages through every order under all filters together, while others change", async () => {
      const { sessionId: parentSessionId } = await makeSession(test.store);
      const titles = Array.from({ length: 9 }, (_, index) => `s${index}`);
      for (const [index, title] of titles.entries()) {
        // Some share a millisecond.
        test.nowMs += index % 3 === 0 ? 1 : 0;
        const labels = { team: index % 2 === 0 ? "blue" : "red" };
        const { sessionId } = await makeSession(test.store, { title, labels, parentSessionId });
        await say(sessionId, index === 4 ? "elsewhere" : "harbour boats");
      }
      await indexAll();
      const wanted = ["s0", "s2", "s6", "s8"];
      const filters = { labels: { team: "blue" }, parentSessionId, query: "boats harb", agentId: "agent" };
      for (const order of ["updated-desc", "created-desc", "created-asc"] as const) {
        const found: string[] = [];
        let pageToken = "";
        do {
          const input = { ...everything, ...filters, states: ["active" as const], order, pageSize: 1, pageToken };
          const page = await test.store.listSessions(scope, input);
          found.push(...page.sessions.map(({ title }) => title));
          pageToken = page.nextPageToken;
          await makeTalk("late", "harbour boats");
        } while (pageToken !== "");
        expect(found).toEqual(order === "created-asc" ? wanted : wanted.toReversed());
      }
    });
  });
}
