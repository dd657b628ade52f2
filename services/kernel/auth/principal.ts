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
  readonly run: { readonly sessionId: string; readonly runId: string } | undefined;
}

/** The tenant of a mesh that has only one. */
export const localTenant = "local";
