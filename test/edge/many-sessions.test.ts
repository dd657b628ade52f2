/** E21: twenty thousand sessions, and thousands of calls that wait, cost one principal a bound and the others nothing. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newId } from "../../services/kernel/id.ts";
import { openSessionStore } from "../../services/session/store/open-session-store.ts";
import type { ListSessionsInput } from "../../services/session/store/pages.ts";
import type { SessionStore } from "../../services/session/store/session-store.ts";
import { refusalOf } from "../e2e/mesh-client.fixture.ts";
import { verifies } from "../requirements.ts";
import { as, person, sendWords, startSessionService } from "../support/session-service.ts";

const scope = { tenant: "local", principal: "user:ada" };
const sessions = 20_000;
const everything: ListSessionsInput = {
  ...{ pageSize: 50, pageToken: "", states: [], agentId: "", labels: {}, parentSessionId: "", query: "" },
  order: "updated-desc",
};

describe(`a tenant with 20 000 sessions ${verifies("E21")}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "atoll-many-"));
  let store: SessionStore;
  const ids: string[] = [];

  const make = async (labels: Record<string, string>): Promise<string> => {
    const sessionId = newId("ses");
    const names = { key: "", agentId: "main", title: "", parentSessionId: "", profile: new Uint8Array() };
    const request = { method: "make", requestId: sessionId, digest: "d", answer: () => new Uint8Array() };
    await store.createSession(scope, request, { sessionId, logId: newId("log"), labels, ...names });
    return sessionId;
  };

  beforeAll(async () => {
    store = await openSessionStore(folder, Date.now);
    for (let at = 0; at < sessions; at += 500) {
      const batch = Array.from({ length: 500 }, (_, n) =>
        make({ all: "yes", half: String((at + n) % 2), ...((at + n) % 4_000 === 7 && { rare: "one" }) }),
      );
      ids.push(...(await Promise.all(batch)));
    }
  }, 240_000);
  afterAll(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The middle one of several, in milliseconds of this process: what others wait for. */
  async function timed(work: () => Promise<unknown>): Promise<number> {
    const times: number[] = [];
    for (let n = 0; n < 9; n++) {
      const beginMs = performance.now();
      await work();
      times.push(performance.now() - beginMs);
    }
    return times.sort((one, other) => one - other)[4] ?? 0;
  }

  test("is counted, in all and by what changed, without being gone through", async () => {
    const since = { activeSinceMs: Date.now() - 3_600_000 };
    expect(await store.countSessions(scope, since)).toEqual({ total: sessions, active: sessions });
    const countMs = await timed(() => store.countSessions(scope, since));
    // Going through the rows takes as long as listing all of them by a label that nothing else narrows.
    const throughMs = await timed(() =>
      store.listSessions(scope, { ...everything, labels: { all: "yes", half: "2" } }),
    );
    process.stderr.write(`count ${countMs.toFixed(2)} ms, a label that nobody has ${throughMs.toFixed(2)} ms\n`);
    expect(countMs).toBeLessThan(1_000);
    expect(throughMs).toBeLessThan(1_000);
  });

  test("finds the few with a rare label, those with a common one, and none, page by page", async () => {
    const idsWith = async (labels: Record<string, string>, order: ListSessionsInput["order"] = "updated-desc") => {
      const found: string[] = [];
      let pageToken = "";
      do {
        const page = await store.listSessions(scope, { ...everything, pageSize: 2, labels, pageToken, order });
        found.push(...page.sessions.map(({ sessionId }) => sessionId));
        ({ nextPageToken: pageToken } = page);
      } while (pageToken !== "" && found.length < 10);
      return found;
    };
    const rare = ids.filter((_, at) => at % 4_000 === 7);
    expect((await idsWith({ rare: "one" })).sort()).toEqual(rare.toSorted());
    expect(await idsWith({ rare: "one", half: "1" }, "created-asc")).toEqual(rare);
    expect(await idsWith({ rare: "one", half: "0" })).toEqual([]);
    expect(await idsWith({ rare: "two" })).toEqual([]);
    expect(await idsWith({ all: "yes" })).toHaveLength(10);
    const ms = await timed(() => store.listSessions(scope, { ...everything, labels: { rare: "one" } }));
    process.stderr.write(`a rare label ${ms.toFixed(2)} ms\n`);
  });

  test("keeps counts and labels right over changes, deletions and starts", async () => {
    const request = (answer = () => new Uint8Array()) => ({
      method: "m",
      requestId: newId("req"),
      digest: "d",
      answer,
    });
    const [first = "", second = ""] = ids.filter((_, at) => at % 4_000 === 7);
    const change = {
      ifHeadSeq: undefined,
      change: () => ({ labels: { all: "yes", rare: "moved" } }),
      event: () => new Uint8Array(),
    };
    await store.changeSession(scope, request(), { sessionId: first, ...change });
    const wish = { cancelledBy: "", reason: "", command: new Uint8Array(), event: () => new Uint8Array() };
    await store.deleteSession(scope, request(), { sessionId: second, wish });
    const check = async () => {
      const list = async (rare: string) =>
        (await store.listSessions(scope, { ...everything, labels: { rare } })).sessions;
      expect(await list("one")).toHaveLength(3);
      expect((await list("moved")).map(({ sessionId }) => sessionId)).toEqual([first]);
      expect((await store.countSessions(scope, { activeSinceMs: 0 })).total).toBe(sessions - 1);
    };
    await check();
    await store.close();
    store = await openSessionStore(folder, Date.now);
    await check();
  });
});

describe(`calls that wait for runs ${verifies("E21")}`, () => {
  test("are 1 000 of one principal, over all its connections; another's go on, and ends give places back", async () => {
    const session = await startSessionService();
    const { runId } = await sendWords(session, "hello");
    const leave = new AbortController();
    const wait = (principal = person, signal?: AbortSignal) =>
      session.client.waitRun(
        { runId, timeoutMs: signal === undefined ? 1 : 60_000 },
        { ...as(principal), ...(signal && { signal }) },
      );
    const before = process.memoryUsage().rss;
    const waits = Array.from({ length: 1_000 }, () => wait(person, leave.signal).catch(() => undefined));
    await expect
      .poll(() => refusalOf(wait()).catch(() => undefined), { timeout: 20_000 })
      .toMatchObject({
        ...{ code: Code[Code.ResourceExhausted], reason: "LIMIT_EXCEEDED", metadata: { limit: "1000" } },
      });
    process.stderr.write(`1 000 waits: ${Math.round((process.memoryUsage().rss - before) / 1e6)} MB\n`);
    expect((await wait({ ...person, name: "user:bob" })).run?.runId).toBe(runId);
    leave.abort();
    await Promise.all(waits);
    await expect
      .poll(
        () =>
          wait().then(
            ({ run }) => run?.runId,
            () => "",
          ),
        { timeout: 20_000 },
      )
      .toBe(runId);
  });
});
