/** Starts the session service with its store and its bus. */
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import type { SignedTokens } from "../kernel/auth/signed-tokens.ts";
import { MemoryBus } from "../kernel/bus/memory/memory-bus.ts";
import { type SessionPart, startSession } from "../session/register.ts";
import { openSessionStore } from "../session/store/open-session-store.ts";
import { configuredAgents } from "./configured-agents.ts";
import type { Wiring } from "./wiring.ts";

/** A gateway watches each session that is read there once, all on one stream a tenant. */
const maxWatchersOfStream = 10_000;

export async function serveSession(wiring: Wiring, signer: SignedTokens): Promise<SessionPart> {
  const { config, log, clock, lifecycle, served } = wiring;
  const store = await openSessionStore(config.dataDir, () => clock.nowMs(), {
    ...wiring.storeOptions,
    onWarning: (facts, message) => log.warn({ service: "session", ...facts }, message),
  });
  await lifecycle.register({ name: "session store", close: () => store.close() });
  const bus = new MemoryBus((error) => log.error({ error: String(error) }, "a reader of the bus failed"));
  const { leaseTtlMs, renewIntervalMs, reattachGraceMs, cancelGraceMs, maxAttempts, maxQueuedRuns } = config.runs;
  const session = await startSession({
    store,
    bus,
    clock,
    log: log.child({ service: "session" }),
    tokens: signer,
    instanceId: wiring.instanceId,
    settings: {
      leaseTtlMs,
      renewIntervalMs,
      reattachGraceMs,
      cancelGraceMs,
      maxAttempts,
      maxQueuedRuns,
      progressIntervalMs: config.limits.progressIntervalMs,
      maxWatchers: maxWatchersOfStream,
      defaultAgent: config.defaultAgent,
      ...config.sessions,
      agents: configuredAgents(config),
    },
  });
  await lifecycle.register({
    name: "session",
    // A worker of this process works off its runs over the stream that it has.
    ...(wiring.services.has("agent") ? {} : { drain: (deadlineMs: number) => session.drain(deadlineMs) }),
    close: () => session.close(),
  });
  served.addPart("session", SessionService, session.routes);
  return session;
}
