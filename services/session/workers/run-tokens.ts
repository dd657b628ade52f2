/**
 * The tokens of runs: one with each offer, the next with a renewal of the lease.
 *
 * Keeps: a holder that renews its lease always has a token that is good, whatever the wall clock does; one that does not
 * has none after 10 minutes, and none that opens anything once the run has ended (require-run.ts).
 */
import { Scope as AuthScope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import type { RenewedToken } from "../../../gen/atoll/session/v1/attach_pb.ts";
import { tokenTtlS } from "../../kernel/auth/signed-tokens.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { RunLease } from "./run-lease.ts";

/** An answer to a renewal stays far below the largest frame. */
export const maxTokensOfRenewal = 1_000;

const scopes = new Set([AuthScope.SESSIONS_READ, AuthScope.TOOLS_READ, AuthScope.TOOLS_CALL]);

/** Signs the next token of a lease's run. */
export async function issueRunToken({ tokens, clock }: Pick<SessionDeps, "tokens" | "clock">, lease: RunLease) {
  const { tenant, principal: name, sessionId, runId, agentId, epoch } = lease;
  lease.tokenIssuedAtMs = clock.nowMs();
  return tokens.sign("run", { tenant, name, scopes, origin: undefined, run: { sessionId, runId, agentId, epoch } });
}

/** Whether half of its life is over, or the wall clock stands before its beginning. */
export function isTokenDue({ tokenIssuedAtMs }: RunLease, nowMs: number): boolean {
  return nowMs < tokenIssuedAtMs || nowMs >= tokenIssuedAtMs + tokenTtlS.run * 500;
}

export function renewRunTokens(
  deps: Pick<SessionDeps, "tokens" | "clock">,
  leases: readonly RunLease[],
): Promise<RenewedToken[]> {
  return Promise.all(
    leases.map(async (lease): Promise<RenewedToken> => {
      const runToken = await issueRunToken(deps, lease);
      const { runId, epoch } = lease;
      return { $typeName: "atoll.session.v1.RenewedToken", runId, epoch: BigInt(epoch), runToken };
    }),
  );
}
