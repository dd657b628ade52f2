/**
 * The keys and tokens of a process. Who gives out runs or lets people in signs; workers and tool routers only check, and hold
 * nothing to sign with.
 */
import { type Authenticate, createAuthenticate } from "../kernel/auth/authenticate.ts";
import { openMeshSecrets, openPeerSecrets } from "../kernel/auth/mesh-secrets.ts";
import {
  createSignedTokens,
  createTokenVerifier,
  type SignedTokens,
  type TokenVerifier,
} from "../kernel/auth/signed-tokens.ts";
import type { Clock } from "../kernel/clock.ts";
import type { ResolvedConfig } from "../kernel/config/resolved-config.ts";
import type { ServiceName } from "../kernel/service-names.ts";

/** What a process with the mesh's secret can do. */
export interface Signing {
  readonly signer: SignedTokens;
  /** The token of local programs. */
  readonly localToken: string;
}

export interface MeshKeys {
  /** Undefined in a process with neither gateway nor session service. */
  readonly signing: Signing | undefined;
  /** With which a worker attaches. */
  readonly workerToken: string;
  readonly authenticate: Authenticate;
}

/** Makes the secrets of a new data folder, or waits for those that a process which signs makes there. */
export async function openKeys(
  config: ResolvedConfig,
  services: ReadonlySet<ServiceName>,
  clock: Clock,
): Promise<MeshKeys> {
  const signs = services.has("session") || services.has("gateway");
  const opened = signs ? openOwn(config.dataDir, clock) : await openPeers(config.dataDir, clock);
  const { signing, workerToken, tokens } = opened;
  const authenticate = createAuthenticate({
    localToken: signing?.localToken,
    workerToken,
    tokens,
    clock,
    maxFailedPerMinute: config.limits.maxFailedAuthPerMinute,
  });
  return { signing, workerToken, authenticate };
}

interface Opened extends Omit<MeshKeys, "authenticate"> {
  readonly tokens: TokenVerifier;
}

function openOwn(dataDir: string, clock: Clock): Opened {
  const { signingKey, localToken, workerToken } = openMeshSecrets(dataDir);
  const signer = createSignedTokens(signingKey, clock);
  return { signing: { signer, localToken }, workerToken, tokens: signer };
}

async function openPeers(dataDir: string, clock: Clock): Promise<Opened> {
  const { publicKey, workerToken } = await openPeerSecrets(dataDir, clock);
  return { signing: undefined, workerToken, tokens: createTokenVerifier(publicKey, clock) };
}
