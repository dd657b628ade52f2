/**
 * The client's half of a connection between our own services: one HTTP/2 session at a time, opened when it is needed
 * and again when it broke, with windows that a page or a batch fits in (hopWindows).
 */
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { hopWindows } from "../listener/listener-limits.ts";

/** What connect's client asks of its sessions; its own name for it is not exported. */
type SessionManager = Pick<Http2SessionManager, "authority" | "request" | "notifyResponseByteRead">;

export function openHopSessions(baseUrl: string): SessionManager {
  const sessions = new Http2SessionManager(
    baseUrl,
    { pingIntervalMs: 20_000, pingTimeoutMs: 10_000, pingIdleConnection: true },
    { settings: { initialWindowSize: hopWindows.streamBytes, enablePush: false } },
  );
  // No setting widens the connection's window, and the session is made out of sight: its first stream shows it.
  return guardSessions(sessions, (session) => session.setLocalWindowSize(hopWindows.connectionBytes));
}

/**
 * The same sessions, whose streams can be read to the end, and of which no error ends the process: after a GOAWAY the manager may take its own listener away before node
 * tells the error (connectrpc/connect-es#1768). What the error means for calls, their streams tell.
 *
 * @param onSession Called with each session's first stream.
 */
export function guardSessions(
  sessions: Http2SessionManager,
  onSession: (session: ClientHttp2Session) => void = () => undefined,
): SessionManager {
  const guarded = new WeakSet<ClientHttp2Session>();
  return {
    authority: sessions.authority,
    async request(method, path, headers, options) {
      const stream = readableToItsEnd(await sessions.request(method, path, headers, options));
      // A stream that was closed meanwhile has none.
      const session = stream.session as ClientHttp2Session | undefined;
      if (session !== undefined && !guarded.has(session)) {
        guarded.add(session);
        session.on("error", () => undefined);
        onSession(session);
      }
      return stream;
    },
    notifyResponseByteRead: (stream) => sessions.notifyResponseByteRead(stream),
  };
}

/**
 * A peer that has answered may reset the rest of the request (NO_ERROR, RFC 9113 §8.1). Node calls that "aborted", and its
 * iterators then fail who has not read all of the answer yet. All of it is there, and an answer that is not whole says so
 * itself: it lacks its trailers, or its last frame.
 */
function readableToItsEnd(stream: ClientHttp2Stream): ClientHttp2Stream {
  const emit = stream.emit.bind(stream) as (event: string | symbol, ...args: unknown[]) => boolean;
  return Object.assign(stream, {
    emit: (event: string | symbol, ...args: unknown[]) =>
      event === "aborted" && stream.rstCode === constants.NGHTTP2_NO_ERROR ? false : emit(event, ...args),
  });
}
