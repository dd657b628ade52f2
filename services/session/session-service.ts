/** SessionService over its ports. Each verb has its own file; this one only joins them. */

import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { GetRunResponseSchema, GetSessionResponseSchema } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { endWithRun, guardRuns } from "../kernel/rpc/gate/run-guard.ts";
import { RawSessionService } from "../kernel/rpc/hops/raw-session-service.ts";
import { type SubmitEffects, submitMessage } from "./accepting/submit-message.ts";
import { countSessions } from "./finding/count-sessions.ts";
import { listRuns } from "./finding/list-runs.ts";
import { listSessions } from "./finding/list-sessions.ts";
import { closeSession } from "./life/close-session.ts";
import { createSession } from "./life/create-session.ts";
import { deleteSession } from "./life/delete-session.ts";
import { forkSession } from "./life/fork-session.ts";
import { resetSession } from "./life/reset-session.ts";
import { updateSession } from "./life/update-session.ts";
import { getSnapshot, listEvents } from "./reading/read-log.ts";
import { getRun, getSession } from "./reading/read-session.ts";
import { toRun, toSession } from "./reading/session-message.ts";
import { watchSessions } from "./reading/watch-sessions.ts";
import { cancelRun } from "./runs/cancel-run.ts";
import { createRequireRun } from "./runs/require-run.ts";
import { waitRun } from "./runs/wait-run.ts";
import type { SessionDeps } from "./session-deps.ts";
import { attachWorker } from "./workers/attach-worker.ts";
import type { RunDispatcher } from "./workers/run-dispatcher.ts";

export function createSessionService(
  deps: SessionDeps,
  dispatcher: RunDispatcher,
): Partial<ServiceImpl<typeof RawSessionService>> {
  const effects: SubmitEffects = {
    runQueued: () => dispatcher.runQueued(),
    commanded: (commanded) => dispatcher.command(commanded),
  };
  const requireRun = createRequireRun(deps);
  return guardRuns(
    RawSessionService,
    {
      createSession: (request, context) => createSession(deps, request, context),
      getSession: async (request, context) =>
        create(GetSessionResponseSchema, { session: toSession(await getSession(deps, request, context)) }),
      countSessions: (request, context) => countSessions(deps, request, context),
      updateSession: (request, context) => updateSession(deps, request, context),
      resetSession: (request, context) => resetSession(deps, request, context),
      forkSession: (request, context) => forkSession(deps, request, context),
      closeSession: (request, context) => closeSession(deps, effects, request, context),
      deleteSession: (request, context) => deleteSession(deps, effects, request, context),
      listSessions: (request, context) => listSessions(deps, request, context),
      submitMessage: (request, context) => submitMessage(deps, effects, request, context),
      getRun: async (request, context) =>
        create(GetRunResponseSchema, { run: toRun(await getRun(deps, request, context)) }),
      listRuns: (request, context) => listRuns(deps, request, context),
      cancelRun: (request, context) => cancelRun(deps, effects, request, context),
      waitRun: (request, context) => waitRun(deps, request, context),
      listEvents: (request, context) => listEvents(deps, request, context),
      getSnapshot: (request, context) => getSnapshot(deps, request, context),
      watch: (requests, context) =>
        endWithRun(context, deps.clock, requireRun, (ending) => watchSessions(deps, requests, ending)),
      attach: (requests, context) => attachWorker(deps, dispatcher, requests, context),
    },
    requireRun,
  );
}
