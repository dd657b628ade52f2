// Keeps L7: an HTTP/2 session whose peer is gone or that nobody uses does not live for ever.
// TCP alone notices a silently cut peer after many minutes, and PINGs of the peer prove nothing about our direction.
import type { ServerHttp2Session } from "node:http2";

export interface Http2WatchdogOptions {
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Called just before a session is destroyed because its peer did not answer. */
  readonly onPeerSilent: () => void;
}

/**
 * Pings the peer for as long as the session lives and destroys it when an answer is late; sends GOAWAY when no stream
 * was open for `idleTimeoutMs`. Time before the first stream is not idle time (the first-request timeout covers it).
 */
export function watchHttp2Session(session: ServerHttp2Session, options: Http2WatchdogOptions): void {
  let answerTimer: NodeJS.Timeout | undefined;
  let idleTimer: NodeJS.Timeout | undefined;
  let openStreams = 0;

  const giveUp = (): void => {
    if (session.destroyed) return;
    options.onPeerSilent();
    session.destroy();
  };
  const ping = (): void => {
    if (session.destroyed || answerTimer !== undefined) return;
    answerTimer = setTimeout(giveUp, options.pingTimeoutMs).unref();
    // A refused ping (false) leaves the timer running: too many unanswered ones are silence too.
    session.ping(() => {
      clearTimeout(answerTimer);
      answerTimer = undefined;
    });
  };
  const pingTimer = setInterval(ping, options.pingIntervalMs).unref();

  session.on("stream", (stream) => {
    openStreams += 1;
    clearTimeout(idleTimer);
    stream.once("close", () => {
      openStreams -= 1;
      if (openStreams === 0 && !session.closed) {
        idleTimer = setTimeout(() => session.close(), options.idleTimeoutMs).unref();
      }
    });
  });
  session.once("close", () => {
    clearInterval(pingTimer);
    clearTimeout(answerTimer);
    clearTimeout(idleTimer);
  });
}
