/** Who calls, as a token or an assertion proved it. */
import type { Scope as AuthScope } from "../../../gen/atoll/auth/v1/options_pb.ts";

export interface Principal {
  /** The tenant, 1–64 characters. */
  readonly tenant: string;
  /** Who acts, for example `user:local`. */
  readonly name: string;
  readonly scopes: ReadonlySet<AuthScope>;
  /** The web origin that the token is bound to; undefined for programs. */
  readonly origin: string | undefined;
  /** The run that the token opens, and nothing else; undefined for every other token. */
  readonly run: RunGrant | undefined;
  /** The only session that the token opens (CreateLink); left out for every other token. */
  readonly sessionId?: string;
}

/** The session that a principal is bound to, by a run or by itself; undefined for one that may see all of its tenant's. */
export function boundSession({ run, sessionId }: Pick<Principal, "run" | "sessionId">): string | undefined {
  return run?.sessionId ?? sessionId;
}

/** What a run's token reaches: one run, as one holder of it, while the run is at work under this epoch. */
export interface RunGrant {
  readonly sessionId: string;
  readonly runId: string;
  readonly agentId: string;
  /** The epoch under which the holder has the run (L4), from 1. */
  readonly epoch: number;
}

/** The tenant of a mesh that has only one. */
export const localTenant = "local";
