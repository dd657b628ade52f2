/** What the session service is handed (L1, L2): ports and settings, nothing that it could reach by itself. */
import type { QueueMode } from "../../gen/atoll/event/v1/run_events_pb.ts";
import type { OfferedAgent } from "../../gen/atoll/session/v1/attach_pb.ts";
import type { SignedTokens } from "../kernel/auth/signed-tokens.ts";
import type { Bus } from "../kernel/bus/bus.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import type { KeyRouting } from "./accepting/route-key.ts";
import type { AgentPlace } from "./rules/place-run.ts";
import type { SessionStore } from "./store/session-store.ts";

/** What the session service knows of an agent. */
export interface ConfiguredAgent extends AgentPlace {
  /** What its workers are told of it. */
  readonly offered: OfferedAgent;
  /** How a message enters a busy session of it, when it does not say so itself. */
  readonly queueMode: QueueMode;
}

export interface SessionSettings extends KeyRouting {
  /** A run of a worker that is silent for so long is taken over. Default 5 000. Must exceed twice `renewIntervalMs`. */
  readonly leaseTtlMs: number;
  /** How often workers renew. Default 1 000. */
  readonly renewIntervalMs: number;
  /** How long a worker may take to attach again after its stream broke. Default 500. */
  readonly reattachGraceMs: number;
  /** From a wish to cancel to the terminal event that the service writes itself. Default 2 000. */
  readonly cancelGraceMs: number;
  /** Attempts of one run before it ends as failed. Default 5. */
  readonly maxAttempts: number;
  /** Runs that may wait in one session. Default 100. */
  readonly maxQueuedRuns: number;
  /** Signs of life on an idle stream. Default 15 000. */
  readonly progressIntervalMs: number;
  /** Watchers of one Watch stream. Default 10 000. */
  readonly maxWatchers: number;
  /** The agents that are configured, by id. */
  readonly agents: ReadonlyMap<string, ConfiguredAgent>;
  /** Silence after which a session without runs is idle, when it has no timeout of its own. Default 1 800 000. */
  readonly idleTimeoutMs: number;
  /** The IANA time zone of daily resets. Undefined, the default: the machine's. */
  readonly timeZone: string | undefined;
  /** Days that events are kept; 0, the default, keeps all, and so it is with the other two. */
  readonly retentionDays: number;
  /** The newest events of a session that are kept. */
  readonly maxLogEvents: number;
  /** The most bytes of a session's log that are kept. */
  readonly maxLogBytes: number;
}

export interface SessionDeps {
  readonly store: SessionStore;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly tokens: SignedTokens;
  readonly settings: SessionSettings;
  /** This instance's name, for workers and logs. */
  readonly instanceId: string;
}
