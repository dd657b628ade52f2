import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  accept,
  append,
  claimOne,
  lastBatchOf,
  makeSession,
} from "../../../test/contract/session-store/store-fixture.ts";
import { verifies } from "../../../test/requirements.ts";
import { withStore } from "../../../test/support/closed-store.ts";
import { as, person, startSessionService } from "../../../test/support/session-service.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { SessionMemory } from "./session-memory.ts";

const sessionId = "ses_1";

/** A message and its run: four events. */
async function writeRun(store: Parameters<typeof accept>[0], runId: string): Promise<void> {
  await accept(store, sessionId, { runId });
  const { run } = await claimOne(store);
  await append(store, lastBatchOf(run, 1));
}

describe("a worker's memory of a session", () => {
  it(`is read anew when retention has removed what follows it ${verifies("S5")}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "atoll-memory-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    await withStore(folder, async (store) => {
      await makeSession(store, { sessionId });
      await writeRun(store, "run_1");
    });
    let service = await startSessionService({ folder });
    const client = {
      ...service.client,
      listEvents: (...call: Parameters<AgentDeps["session"]["listEvents"]>) => service.client.listEvents(...call),
    };
    const memory = new SessionMemory(client, { maxSessions: 8, maxRuns: 100 });
    const readRuns = async (): Promise<string[]> => {
      const { session } = await service.client.getSession({ by: { case: "sessionId", value: sessionId } }, as(person));
      if (session === undefined) throw new Error("the session is not there");
      const { runs } = await memory.read(session, [], as(person));
      return runs.map(({ runId }) => runId);
    };
    expect(await readRuns()).toEqual(["run_1"]);
    await service.stop();
    await withStore(folder, async (store) => {
      await writeRun(store, "run_2");
      await writeRun(store, "run_3");
      const bounds = { keepFromMs: 0, maxEvents: 4, maxBytes: 0 };
      const { trimmed } = await store.trimLogs({ bounds, cursor: "", maxSessions: 9, maxRows: 99 });
      expect(trimmed).toMatchObject([{ oldestSeq: 9 }]);
    });
    service = await startSessionService({ folder });
    expect(await readRuns()).toEqual(["run_3"]);
  });
});
