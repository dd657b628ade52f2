/**
 * What a one-time link gives to whoever uses it.
 *
 * Keeps: never more than its maker has; a link to one session opens that one, and nothing that is no session's.
 */
import type { CreateLinkRequest } from "../../../gen/atoll/admin/v1/admin_service_pb.ts";
import { Scope as AuthScope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import { holdsScope } from "../../kernel/auth/authenticate.ts";
import type { Principal } from "../../kernel/auth/principal.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { scopeMissing } from "../../kernel/rpc/gate/request-gate.ts";

const scopesOfASession: ReadonlySet<AuthScope> = new Set([
  AuthScope.SESSIONS_READ,
  AuthScope.SESSIONS_WRITE,
  AuthScope.APPROVALS,
]);

/** Errors: SCOPE_MISSING for a scope that the maker does not hold; FIELD_INVALID for one that a session's link can't have. */
export function linkGrant(
  maker: Principal,
  { scopes, sessionId }: Pick<CreateLinkRequest, "scopes" | "sessionId">,
): Principal {
  for (const scope of scopes) if (!holdsScope(maker, scope)) throw scopeMissing(scope);
  if (sessionId === "") return scopes.length === 0 ? maker : { ...maker, scopes: new Set(scopes) };
  const wrong = scopes.findIndex((scope) => !scopesOfASession.has(scope));
  if (wrong >= 0) {
    const [path, problem] = [
      `scopes[${wrong}]`,
      "a link to a session gives SESSIONS_READ, SESSIONS_WRITE and APPROVALS",
    ];
    throw failure(ErrorReason.FIELD_INVALID, `${path}: ${problem}`, { fields: [{ path, problem }] });
  }
  return { ...maker, sessionId, scopes: new Set(scopes.length === 0 ? [AuthScope.SESSIONS_READ] : scopes) };
}
