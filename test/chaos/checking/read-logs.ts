/** The one read after the run: whole logs through the public API. */
import { createClient } from "@connectrpc/connect";
import { SessionService } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { transportTo } from "../../support/mesh-process.ts";
import type { AppliedEvent } from "../history.ts";
import { describeEvent } from "./describe-event.ts";

export interface FinalLog {
  readonly sessionId: string;
  readonly logId: string;
  readonly headSeq: number;
  readonly events: readonly AppliedEvent[];
  /** The same as its snapshot tells it. */
  readonly snapshot: readonly AppliedEvent[];
}

export async function readLogs(url: string, token: string, sessionIds: Iterable<string>): Promise<FinalLog[]> {
  const client = createClient(SessionService, transportTo(url, token));
  const logs: FinalLog[] = [];
  for (const sessionId of sessionIds) {
    const events: AppliedEvent[] = [];
    let pageToken = "";
    let logId = "";
    let headSeq = 0;
    do {
      const page = await client.listEvents({ sessionId, pageSize: 5_000, pageToken });
      ({ nextPageToken: pageToken, logId } = page);
      headSeq = Number(page.headSeq);
      events.push(...page.events.map(describeEvent));
    } while (pageToken !== "");
    const snapshot: AppliedEvent[] = [];
    do {
      const page = await client.getSnapshot({ sessionId, pageToken });
      ({ nextPageToken: pageToken } = page);
      snapshot.push(...page.events.map(describeEvent));
    } while (pageToken !== "");
    logs.push({ sessionId, logId, headSeq, events, snapshot });
  }
  return logs;
}

/** Waits until no session has a run that waits or runs; false when the time came first. */
export async function waitUntilQuiet(
  url: string,
  token: string,
  sessionIds: readonly string[],
  untilMs: number,
): Promise<boolean> {
  const client = createClient(SessionService, transportTo(url, token));
  for (const sessionId of sessionIds) {
    for (;;) {
      const { session } = await client.getSession({ by: { case: "sessionId", value: sessionId } });
      if (session?.activeRunId === "" && session.queuedRuns === 0) break;
      if (performance.now() > untilMs) return false;
      await new Promise((settle) => setTimeout(settle, 100));
    }
  }
  return true;
}
