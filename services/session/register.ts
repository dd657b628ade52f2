/** Starts the session service and registers it on a router. */
import type { ConnectRouter } from "@connectrpc/connect";
import { RawSessionService } from "../kernel/rpc/hops/raw-session-service.ts";
import { registerService } from "../kernel/rpc/register-service.ts";
import { startJob } from "./background-job.ts";
import { indexMessages } from "./finding/index-messages.ts";
import { sweepIdle } from "./life/sweep-idle.ts";
import { compactLogs } from "./retention/compact-logs.ts";
import { sweepDeleted } from "./retention/sweep-deleted.ts";
import { sweepRequests } from "./retention/sweep-requests.ts";
import { trimLogs } from "./retention/trim-logs.ts";
import type { SessionDeps } from "./session-deps.ts";
import { createSessionService } from "./session-service.ts";
import { RunDispatcher } from "./workers/run-dispatcher.ts";

export interface SessionPart {
  readonly routes: (router: ConnectRouter) => void;
  /** Attached workers and the runs that they hold. */
  readonly counts: () => { readonly workers: number; readonly held: number };
  /** Runs that wait in the store. */
  readonly countQueued: () => Promise<number>;
  /** Gives out no more runs and asks the workers to attach elsewhere; resolves when they have left. */
  readonly drain: (deadlineMs: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

export async function startSession(deps: SessionDeps): Promise<SessionPart> {
  const dispatcher = new RunDispatcher(deps);
  await dispatcher.start();
  const jobs = [compactLogs, indexMessages, sweepIdle, trimLogs, sweepRequests, sweepDeleted].map((makeJob) =>
    startJob(deps, makeJob(deps)),
  );
  const service = createSessionService(deps, dispatcher);
  return {
    routes: (router) => registerService(router, RawSessionService, service),
    counts: () => dispatcher.counts(),
    countQueued: () => deps.store.countQueuedRuns(),
    drain: (deadlineMs) => dispatcher.drainInstance(deadlineMs),
    close: async () => {
      for (const stop of jobs) stop();
      dispatcher.close();
    },
  };
}
