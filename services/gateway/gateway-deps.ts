/** What the gateway is handed (L1): generated clients of its peers, and settings. */
import type { Client, Transport } from "@connectrpc/connect";
import type { SignedTokens } from "../kernel/auth/signed-tokens.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import type { RawSessionService } from "../kernel/rpc/hops/raw-session-service.ts";

export interface GatewayDeps {
  readonly session: Client<typeof RawSessionService>;
  /** The peers whose contracts are served on the gateway's port as well. */
  readonly transports: { readonly session: Transport; readonly agent: Transport; readonly toolRouter: Transport };
  readonly clock: Clock;
  readonly log: Log;
  readonly tokens: SignedTokens;
  /** Signs of life on an idle stream. Default 15 000. */
  readonly progressIntervalMs: number;
}
