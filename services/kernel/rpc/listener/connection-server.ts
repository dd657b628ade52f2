// Hands an accepted socket to the server of its protocol and keeps count of what is open on it.
// Keeps L7: every request body has a deadline unless the client may stream there, and no answer waits for a peer that
// does not read it. Keeps F4: what a request costs is counted for its address until its caller is proven.
// Keeps L9: a handler that throws, a peer that breaks the protocol, falls silent or does not read is reported.
import type { Http2ServerRequest, ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { AddressStanding } from "../admission/address-standing.ts";
import { createAnonymousCalls } from "../admission/anonymous-calls.ts";
import { beginExchange as openExchange } from "../admission/begin-exchange.ts";
import { canonicalAddress } from "../admission/canonical-address.ts";
import { createFairTurns } from "../admission/fair-turns.ts";
import { placeOf } from "../readers/reader-place.ts";
import { createStallWatchdog, cutOff } from "../readers/stall-watchdog.ts";
import { UnreadAnswers } from "../readers/unread-answers.ts";
import { createHttp1Server } from "./http1-server.ts";
import { createHttp2Server } from "./http2-server.ts";
import { watchHttp2Session } from "./http2-watchdog.ts";
import type { FaultReporter } from "./listener-faults.ts";
import type { ListenerLimits } from "./listener-limits.ts";
import { destroyConnection, drainConnection, type OpenConnection } from "./open-connection.ts";
import {
  cutOffRequest,
  type EdgeRequest,
  type EdgeResponse,
  endWithAnswer,
  watchRequestBody,
} from "./request-timeouts.ts";

export interface ConnectionServerOptions {
  readonly limits: ListenerLimits;
  readonly isClientStreaming: (path: string) => boolean;
  readonly onRequest: (request: EdgeRequest, response: EdgeResponse) => void | Promise<void>;
  readonly faults: FaultReporter;
  readonly standing: AddressStanding;
}

export interface ConnectionServer {
  /** `socket` carries plaintext HTTP of the connection. Bytes that were pushed back into it are read first. */
  serve(connection: OpenConnection, socket: Socket, protocol: "http1" | "http2"): void;
  /** From now on HTTP/1.1 answers end their connection. HTTP/2 sessions are drained one by one by their owner. */
  drain(): void;
  /** Stops the timers. */
  close(): void;
}

export function createConnectionServer(options: ConnectionServerOptions): ConnectionServer {
  const { limits, faults, standing } = options;
  const anonymous = createAnonymousCalls(limits);
  const unread = new UnreadAnswers(limits);
  const turns = createFairTurns();
  /** From what carries HTTP (a socket or a session) to its connection. */
  const carriers = new WeakMap<object, OpenConnection>();
  const stalls = createStallWatchdog(limits.readerStallTimeoutMs);
  let draining = false;

  const beginExchange = (connection: OpenConnection, request: EdgeRequest, response: EdgeResponse): void => {
    connection.exchanges.set(request, response);
    response.once("close", () => {
      connection.exchanges.delete(request);
      connection.firstRequest = "arrived";
      if (draining && connection.protocol.kind === "http1") drainConnection(connection);
    });
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    const placed = (): string => {
      const { sessionId, seq } = placeOf(request);
      return sessionId === "" ? "" : `; session ${sessionId} was written up to ${seq}`;
    };
    const stalled = (detail: string): void => faults.report("READER_STALLED", connection.remoteAddress, detail);
    stalls.watch(request, response, {
      onStalled: (bytes) =>
        stalled(`${path}: ${bytes} bytes not taken for ${limits.readerStallTimeoutMs} ms${placed()}`),
      onPeerStalled(answers, bytes) {
        stalled(`the peer takes nothing: ${bytes} bytes of ${answers} answers on one connection`);
        destroyConnection(connection);
      },
    });
    const { caller } = openExchange(connection, request, response, { limits, standing, anonymous, turns });
    unread.watch({
      ...{ response, caller },
      heldBytes: () => placeOf(request).heldBytes,
      giveUp(limit) {
        stalled(`${path}: over ${limit}${placed()}`);
        cutOff(request);
      },
    });
    endWithAnswer(request, response, () => draining || connection.exchanges.size > limits.maxConcurrentStreams / 2);
    if (options.isClientStreaming(path)) {
      connection.firstRequest = "arrived";
    } else {
      request.once("end", () => {
        connection.firstRequest = "arrived";
      });
      watchRequestBody(request, response, limits.requestBodyTimeoutMs, () => {
        faults.report("REQUEST_BODY_TIMEOUT", connection.remoteAddress, `incomplete request for ${path}`);
        cutOffRequest(request);
      });
    }
    const fail = (error: unknown): void => {
      faults.report("HANDLER_THREW", connection.remoteAddress, String(error));
      if (response.headersSent) cutOffRequest(request);
      else answerFailure(response);
    };
    const handle = (): void => {
      // It may have been reset while it waited.
      if (!connection.exchanges.has(request)) return;
      try {
        options.onRequest(request, response)?.catch(fail);
      } catch (error) {
        fail(error);
      }
    };
    // Connections take turns from the door on: also what is refused there costs something.
    const turn = turns.enter(caller().name, connection);
    if (turn === undefined) handle();
    else void turn.then(handle);
  };

  const http1 = createHttp1Server(
    limits,
    (request, response) => {
      const connection = carriers.get(request.socket);
      if (connection === undefined) return void request.socket.destroy();
      if (draining) response.setHeader("connection", "close");
      beginExchange(connection, request, response);
    },
    (fault, socket, detail) => faults.report(fault, carriers.get(socket)?.remoteAddress, detail),
  );
  const ofSession = ({ stream }: Http2ServerRequest): OpenConnection | undefined =>
    stream.session === undefined ? undefined : carriers.get(stream.session);
  const http2 = createHttp2Server(
    limits,
    (request, response) => {
      const connection = ofSession(request);
      // A stream can outlive its session by a tick; there is nobody left to answer.
      if (connection === undefined) return request.stream.close();
      beginExchange(connection, request, response);
    },
    (request, detail) => faults.report("HEADERS_TOO_LARGE", ofSession(request)?.remoteAddress, detail),
  );
  http2.on("sessionError", (error: NodeJS.ErrnoException, session) => {
    // A peer that left without a goodbye breaks the socket, not the protocol.
    const kind = error.syscall === undefined ? "HTTP2_PROTOCOL_ERROR" : "SOCKET_ERROR";
    const remoteAddress = carriers.get(session)?.remoteAddress;
    faults.report(kind, remoteAddress, error.message);
    if (kind === "HTTP2_PROTOCOL_ERROR" && remoteAddress !== undefined) {
      standing.offend(canonicalAddress(remoteAddress));
    }
  });

  const serveHttp1 = (connection: OpenConnection, socket: Socket): void => {
    carriers.set(socket, connection);
    connection.protocol = { kind: "http1", socket };
    http1.emit("connection", socket);
  };
  const serveHttp2 = (connection: OpenConnection, socket: Socket): void => {
    const onSession = (session: ServerHttp2Session): void => {
      carriers.set(session, connection);
      connection.protocol = { kind: "http2", session };
      if (limits.connectionWindowBytes > defaultConnectionWindowBytes) {
        session.setLocalWindowSize(limits.connectionWindowBytes);
      }
      watchHttp2Session(session, {
        pingIntervalMs: limits.pingIntervalMs,
        pingTimeoutMs: limits.pingTimeoutMs,
        idleTimeoutMs: limits.http2IdleTimeoutMs,
        onPeerSilent: () => faults.report("PEER_SILENT", connection.remoteAddress, "no answer to PING"),
      });
    };
    // Node makes the session while it handles the event, so this session is the one of this socket.
    http2.once("session", onSession);
    http2.emit("connection", socket);
    http2.off("session", onSession);
  };

  return {
    serve(connection, socket, protocol) {
      const serve = (): void => {
        if (socket.destroyed) return;
        if (protocol === "http1") serveHttp1(connection, socket);
        else serveHttp2(connection, socket);
      };
      // Many that come at once bring many requests each in the first bytes.
      const turn = turns.enter(newConnections, connection);
      if (turn === undefined) serve();
      else void turn.then(serve);
    },
    drain() {
      draining = true;
    },
    close() {
      stalls.close();
      // It never listened, so the error that it answers with says nothing.
      http1.close(() => undefined);
    },
  };
}

/** All of them have one turn among all who wait. */
const newConnections = "new connections";

/** RFC 9113 §6.9.2; it can only be raised. */
const defaultConnectionWindowBytes = 65_535;

function answerFailure(response: EdgeResponse): void {
  response.statusCode = 500;
  response.end();
}
