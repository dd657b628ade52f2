/** A session service in a process of its own, reached as its peers reach it. */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { Scope as AuthScope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import type { SubmitMessageRequestSchema } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { openMeshSecrets } from "../../../services/kernel/auth/mesh-secrets.ts";
import { localTenant, type Principal } from "../../../services/kernel/auth/principal.ts";
import { createSignedTokens, type SignedTokens } from "../../../services/kernel/auth/signed-tokens.ts";
import { systemClock } from "../../../services/kernel/clock.ts";
import { principalKey } from "../../../services/kernel/rpc/call-context.ts";
import { connectPeer } from "../../../services/kernel/rpc/hops/directory.ts";
import { createHopInterceptor } from "../../../services/kernel/rpc/hops/hop-interceptor.ts";
import { RawSessionService } from "../../../services/kernel/rpc/hops/raw-session-service.ts";
import { startService } from "../../support/mesh-process.ts";
import { endWithBench } from "../end-in-time.ts";
import { pinProcess } from "../pin-cores.ts";
import { readCpuMs } from "../process-usage.ts";

/** Calls that are on their way at a time. */
export const inFlight = 64;

const peer: Principal = {
  tenant: localTenant,
  name: "worker:bench",
  scopes: new Set([AuthScope.WORKER, AuthScope.SESSIONS_READ, AuthScope.SESSIONS_WRITE]),
  origin: undefined,
  run: undefined,
};

export type SessionClient = Client<typeof RawSessionService>;

export interface RemoteSession {
  readonly client: SessionClient;
  /** A client with a connection of its own. */
  readonly open: () => SessionClient;
  readonly url: string;
  /** Where it keeps its data, and the keys that its peers need. */
  readonly dataDir: string;
  /** The header that says who calls. It is good for half a minute at least. */
  readonly authorize: () => Promise<string>;
  readonly pid: number;
  readonly cpuMs: () => number;
  readonly stop: () => Promise<void>;
}

export async function startRemoteSession(): Promise<RemoteSession> {
  const folder = mkdtempSync(join(tmpdir(), "atoll-bench-"));
  const service = await startService("session", ["serve", "--services=session", "--listen", "127.0.0.1:0"], folder, {});
  endWithBench(service.child);
  pinProcess(service.pid, "mesh");
  const dataDir = join(folder, ".atoll");
  const { tokens, open } = peerOf(service.url, dataDir);
  return {
    client: open(),
    open,
    url: service.url,
    dataDir,
    authorize: async () => `Bearer ${await tokens.sign("hop", peer)}`,
    pid: service.pid,
    cpuMs: () => readCpuMs(service.pid),
    async stop() {
      await service.end("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Another process of the mesh, as it calls the session service: a worker's stream is opened to nobody else. */
export function peerOf(
  url: string,
  dataDir: string,
): { readonly tokens: SignedTokens; readonly open: () => SessionClient } {
  const tokens = createSignedTokens(openMeshSecrets(dataDir).signingKey, systemClock);
  const hop = createHopInterceptor("session", tokens, systemClock);
  const asPeer: Interceptor = (next) => (request) => {
    request.contextValues.set(principalKey, peer);
    return hop(next)(request);
  };
  return { tokens, open: () => createClient(RawSessionService, connectPeer({ kind: "remote", url }, asPeer, {})) };
}

export async function createSessions({ client }: RemoteSession, count: number): Promise<string[]> {
  const ids: string[] = [];
  const make = async (): Promise<void> => {
    const { session } = await client.createSession({ requestId: randomUUID() });
    ids.push(session?.sessionId ?? "");
  };
  while (ids.length < count) await Promise.all(Array.from({ length: Math.min(inFlight, count - ids.length) }, make));
  return ids;
}

export function newMessage(sessionId: string): MessageInitShape<typeof SubmitMessageRequestSchema> {
  return {
    requestId: randomUUID(),
    sessionId,
    message: { content: [{ block: { case: "text", value: { text: "Which boats are in the harbour?" } } }] },
  };
}
