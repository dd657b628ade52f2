/** Starts the session service and registers it on a router. */
import type { ConnectRouter } from "@connectrpc/connect";
import { RawSessionService } from "../kernel/rpc/raw-session-service.ts";
import { registerService } from "../kernel/rpc/register-service.ts";
import { RunDispatcher } from "./run-dispatcher.ts";
import type { SessionDeps } from "./session-deps.ts";
import { createSessionService } from "./session-service.ts";
import { sweepRequestsEvery } from "./sweep-requests.ts";

export interface SessionPart {
  readonly routes: (router: ConnectRouter) => void;
  /** Attached workers and the runs that they hold. */
  readonly counts: () => { readonly workers: number; readonly held: number };
  readonly close: () => Promise<void>;
}

export async function startSession(deps: SessionDeps): Promise<SessionPart> {
  const dispatcher = new RunDispatcher(deps);
  await dispatcher.start();
  const stopSweeping = sweepRequestsEvery(deps);
  const service = createSessionService(deps, dispatcher);
  return {
    routes: (router) => registerService(router, RawSessionService, service),
    counts: () => dispatcher.counts(),
    close: async () => {
      stopSweeping();
      dispatcher.close();
    },
  };
}
