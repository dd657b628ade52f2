/** How every service of this process serves, on the port as in memory: the same gate, interceptors and bounds (L6, L7). */
import type { ConnectRouterOptions } from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";
import type { Authenticate } from "../../auth/authenticate.ts";
import type { Clock } from "../../clock.ts";
import { jsonRegistry } from "../../event/json-registry.ts";
import type { Log } from "../../log.ts";
import { turnInterceptor } from "../admission/turn-interceptor.ts";
import { createDeadlineInterceptor } from "./deadline-interceptor.ts";
import type { Draining } from "./draining.ts";
import { createFaultInterceptor } from "./fault-interceptor.ts";
import { needInterceptor } from "./need-interceptor.ts";
import { createRequestGate } from "./request-gate.ts";
import { validateInterceptor } from "./validate-interceptor.ts";

/** What no request exceeds: 4 MiB of content and its frame. Most have a smaller bound of their own contract. */
const maxMessageBytes = 4_259_840;
/**
 * What no answer exceeds. In Protobuf none is larger than 4 MiB, by what is accepted (event-bounds.ts); as JSON the same
 * event is up to six times as long, and clients of JSON have no bound by default.
 */
const maxAnswerBytes = 33_554_432;
const compressMinBytes = 8_192;

export function createServerOptions(parts: {
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  readonly log: Log;
  /** Default 900 000. */
  readonly streamIdleTimeoutMs: number;
  /** Ends the calls that came through the port. Default: they end with their connections. */
  readonly draining?: Draining;
}): ConnectRouterOptions {
  return {
    interceptors: [
      createFaultInterceptor(parts.log),
      createDeadlineInterceptor(parts.clock, parts.streamIdleTimeoutMs, parts.draining),
      turnInterceptor,
      validateInterceptor,
      needInterceptor,
    ],
    requestGate: createRequestGate(parts.authenticate),
    // A field that is not in the contract is a mistake of the caller, and is said so.
    jsonOptions: { ignoreUnknownFields: false, registry: jsonRegistry },
    acceptCompression: [compressionGzip],
    compressMinBytes,
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: maxAnswerBytes,
    requireConnectProtocolHeader: true,
  };
}
