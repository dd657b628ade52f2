/**
 * The HTTP/2 connection of a program that calls with a token: one at a time, opened when it is needed and again when it
 * broke.
 *
 * Keeps: no byte of a request leaves before `trust` has accepted the very connection that it leaves on, also after a
 * reconnect: the port may belong to another program by then. Keeps L7: connecting and trust have a deadline together.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";

export interface TokenSessionOptions {
  /** Resolves when the connection may have requests; rejects when it may not. */
  readonly trust: (session: ClientHttp2Session) => Promise<void>;
  /** What to throw when no connection could be had. `wasOpen`: whether there was one before. */
  readonly explain: (error: unknown, wasOpen: boolean) => unknown;
}

/** What connect's client asks of its sessions; its own name for it is not exported. */
export interface TokenSessions {
  readonly authority: string;
  request(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    options: { readonly endStream?: boolean },
  ): Promise<ClientHttp2Stream>;
  notifyResponseByteRead(stream: ClientHttp2Stream): void;
}

/** From the first SYN to a connection that is trusted. */
const openTimeoutMs = 10_000;

export function openTokenSessions(baseUrl: string, { trust, explain }: TokenSessionOptions): TokenSessions {
  const authority = new URL(baseUrl).origin;
  const openStreams = new WeakMap<ClientHttp2Session, number>();
  let current: Promise<ClientHttp2Session> | undefined;
  let wasOpen = false;

  const open = (): Promise<ClientHttp2Session> => {
    const opening = openTrusted(authority, trust);
    const forget = (): void => {
      if (current === opening) current = undefined;
    };
    current = opening;
    opening.then((session) => {
      wasOpen = true;
      session.once("goaway", forget).once("close", forget);
      if (session.closed || session.destroyed) forget();
      else if (openStreams.get(session) === undefined) session.unref();
    }, forget);
    return opening;
  };

  const count = (session: ClientHttp2Session, difference: 1 | -1): void => {
    const streams = (openStreams.get(session) ?? 0) + difference;
    openStreams.set(session, streams);
    if (session.destroyed) return;
    // A connection without calls keeps no process alive.
    if (streams === 0) session.unref();
    else session.ref();
  };

  return {
    authority,
    async request(method, path, headers, options) {
      let session: ClientHttp2Session;
      try {
        session = await (current ?? open());
      } catch (error) {
        throw explain(error, wasOpen);
      }
      const stream = session.request({ ...headers, ":method": method, ":path": path }, options);
      count(session, 1);
      stream.once("close", () => count(session, -1));
      return stream;
    },
    notifyResponseByteRead: () => undefined,
  };
}

async function openTrusted(authority: string, trust: TokenSessionOptions["trust"]): Promise<ClientHttp2Session> {
  const session = connect(authority, { settings: { enablePush: false } });
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  const fail = (text: string) => () => failed.reject(new ConnectError(text, Code.Unavailable));
  const timer = setTimeout(fail(`no answer within ${openTimeoutMs / 1000} s`), openTimeoutMs);
  // The listener stays: after a GOAWAY node may tell an error that nobody waits for any more.
  session.on("error", (error) =>
    failed.reject(new ConnectError(error.message, Code.Unavailable, undefined, undefined, error)),
  );
  session.once("close", fail("the connection was closed at once"));
  try {
    await Promise.race([new Promise<void>((settle) => session.once("connect", () => settle())), failed.promise]);
    await Promise.race([trust(session), failed.promise]);
    session.once("goaway", () => session.close());
    return session;
  } catch (error) {
    session.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
