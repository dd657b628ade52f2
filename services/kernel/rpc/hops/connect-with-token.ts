/** How a program reaches a mesh with a token: over one HTTP/2 connection that is trusted before the token is sent. */
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { maxMessageBytes } from "./directory.ts";
import { openTokenSessions, type TokenSessionOptions } from "./token-sessions.ts";

export interface TokenTransportOptions extends TokenSessionOptions {
  /** `http://host:port` or `https://host:port`, with or without a path in front of the services. */
  readonly url: string;
  readonly token: string;
}

export function connectWithToken({ url, token, ...sessions }: TokenTransportOptions): Transport {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  return createConnectTransport({
    baseUrl: url,
    httpVersion: "2",
    useBinaryFormat: true,
    interceptors: [authorize],
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: maxMessageBytes,
    sessionManager: openTokenSessions(url, sessions),
  });
}
