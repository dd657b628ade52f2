/** The services of this process: how its own parts reach each other and their peers (L1), and what the port serves of them. */
import type { DescService } from "@bufbuild/protobuf";
import type { ConnectRouter, ConnectRouterOptions, Transport } from "@connectrpc/connect";
import type { SignedTokens } from "../kernel/auth/signed-tokens.ts";
import type { Clock } from "../kernel/clock.ts";
import type { ResolvedConfig } from "../kernel/config/resolved-config.ts";
import { connectPeer, type Peer } from "../kernel/rpc/hops/directory.ts";
import { createHopInterceptor } from "../kernel/rpc/hops/hop-interceptor.ts";
import { PeerMissing } from "../kernel/rpc/hops/peer-missing.ts";
import type { ServiceName } from "../kernel/service-names.ts";

type Routes = (router: ConnectRouter) => void;

/** A gateway is nobody's peer. */
type PeerName = Exclude<ServiceName, "gateway">;

interface Means {
  readonly config: ResolvedConfig;
  readonly clock: Clock;
  readonly server: ConnectRouterOptions;
  /** Undefined in a process that signs nothing. */
  readonly signer: SignedTokens | undefined;
  /** Whether a gateway stands on this port: then it alone serves there, its peers' contracts, too. */
  readonly hasGateway: boolean;
}

export class ServedHere {
  /** The contracts of the port. */
  readonly contracts: DescService[] = [];
  readonly #means: Means;
  readonly #parts = new Map<PeerName, Routes>();
  readonly #routes: Routes[] = [];

  constructor(means: Means) {
    this.#means = means;
  }

  /** From now on peers in this process reach it in memory; others reach it over the port, when there is no gateway. */
  addPart(name: PeerName, contract: DescService, routes: Routes): void {
    this.#parts.set(name, routes);
    if (!this.#means.hasGateway) this.addToPort([contract], routes);
  }

  addToPort(contracts: readonly DescService[], routes: Routes): void {
    this.contracts.push(...contracts);
    this.#routes.push(routes);
  }

  /** Throws PeerMissing when the service is neither in this process, added by now, nor named in the configuration. */
  peer(name: PeerName): Transport {
    const { config, clock, server, signer } = this.#means;
    const url = config.peers[name];
    const here = this.#parts.get(name);
    if (here === undefined && url === undefined) {
      throw new PeerMissing(
        `the ${name} service is neither in this process nor named: give --${name}, ATOLL_${name.toUpperCase()}_URL or \`peers.${name}\` in the file`,
      );
    }
    const place: Peer = here !== undefined ? { kind: "local", routes: here } : { kind: "remote", url: url ?? "" };
    return connectPeer(place, createHopInterceptor(name, signer, clock), server);
  }

  /** The processes that the configuration names for services which are not in this one, each address once. */
  otherProcesses(): Transport[] {
    const { config, clock, server, signer } = this.#means;
    const urls = (["session", "agent", "toolrouter"] as const).flatMap((name) =>
      this.#parts.has(name) ? [] : (config.peers[name] ?? []),
    );
    return [...new Set(urls)].map((url) =>
      connectPeer({ kind: "remote", url }, createHopInterceptor("instance", signer, clock), server),
    );
  }

  register(router: ConnectRouter): void {
    for (const register of this.#routes) register(router);
  }
}
