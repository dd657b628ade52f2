// Keeps L7: every bound of the network edge stands here, named with its unit and stated with its default.
import { longestWaitMs } from "../../clock.ts";

/** What one listener grants to its peers. All values are positive integers. */
export interface ListenerLimits {
  /** Open connections of the whole listener. Default 2 000. One more is closed at once. */
  readonly maxConnections: number;
  /** Open connections of one address (IPv6: one /64). Default 50. Raise it behind a proxy. */
  readonly maxConnectionsPerAddress: number;
  /** From accept to the bytes that tell the protocol, and for the TLS handshake. Default 5 000. */
  readonly sniffTimeoutMs: number;
  /** From accept to the first complete request (or the headers of a client-streaming one). Default 10 000. */
  readonly firstRequestTimeoutMs: number;
  /** From a request's headers to the end of its body, unless the client may stream. Default 10 000. */
  readonly requestBodyTimeoutMs: number;
  /** HTTP/1.1: from a request's first byte to the end of its headers. Default 10 000, at most http1RequestTimeoutMs. */
  readonly http1HeadersTimeoutMs: number;
  /** HTTP/1.1: from a request's first byte to the end of its body. It does not bound the answer. Default 30 000. */
  readonly http1RequestTimeoutMs: number;
  /** HTTP/1.1: how often the two timeouts above are looked at. Default 1 000. */
  readonly http1TimeoutCheckIntervalMs: number;
  /** HTTP/1.1: an idle connection is closed. Default 65 000. A load balancer's idle time must stay below it. */
  readonly keepAliveTimeoutMs: number;
  /** HTTP/2: a connection without an open stream gets GOAWAY. Default 300 000. */
  readonly http2IdleTimeoutMs: number;
  /** HTTP/2: time between two PINGs that ask whether the peer is still there. Default 20 000. */
  readonly pingIntervalMs: number;
  /** HTTP/2: wait for the answer to a PING. Default 10 000. After it the connection is destroyed. */
  readonly pingTimeoutMs: number;
  /**
   * A peer that takes nothing of an answer that is on its way is cut off. Default 30 000. A write of more than 128 KiB has
   * that time for each 128 KiB.
   */
  readonly readerStallTimeoutMs: number;
  /** TCP: quiet time before the first keep-alive probe; three probes at a third of it follow. Default 15 000. */
  readonly tcpKeepAliveDelayMs: number;
  /** All headers of one request. Default 16 384. */
  readonly maxHeaderBytes: number;
  /** Name and value pairs of one request, HTTP/2 pseudo headers included. Default 64. */
  readonly maxHeaderPairs: number;
  /** HTTP/2: open streams of one connection. Default 100. */
  readonly maxConcurrentStreams: number;
  /** HTTP/2: bytes that a peer may send on one stream ahead of our reading. Default 65 536; between own services, see hopWindows. */
  readonly streamWindowBytes: number;
  /** HTTP/2: the same for one connection. Default 65 536; at least streamWindowBytes. */
  readonly connectionWindowBytes: number;
  /**
   * HTTP/2: memory of one session, in megabytes (node counts in 10^6). Default 8. What waits to be sent counts; with more
   * than that, new streams of the session are refused.
   */
  readonly maxSessionMemoryMegabytes: number;
  /** HTTP/2: unanswered PINGs of ours. Default 10. */
  readonly maxOutstandingPings: number;
  /** HTTP/2: entries in one SETTINGS frame. Default 32. */
  readonly maxSettings: number;
  /** HTTP/2: resets by the peer that are taken at once. Default 200. */
  readonly streamResetBurst: number;
  /** HTTP/2: resets by the peer that are taken per second after the burst. Default 20. */
  readonly streamResetsPerSecond: number;
  /** From the headers of a stream to its first message, where the client may stream and its caller is proven. Default 10 000. */
  readonly firstMessageTimeoutMs: number;
  /** Public RPCs (health, reflection) that are open at once, of all addresses. Default 512. */
  readonly maxAnonymousCalls: number;
  /** The same of one address. Default 64. */
  readonly maxAnonymousCallsPerAddress: number;
  /**
   * Bytes that an address may send without a proven caller, over all its connections; a request counts as 2 048 more. They
   * come back with anonymousBytesPerSecond. Default 8 388 608.
   */
  readonly anonymousBurstBytes: number;
  /** Default 1 048 576. */
  readonly anonymousBytesPerSecond: number;
  /** The longest wait of a new connection of an address that broke the protocol or spent too much. Default 5 000. */
  readonly longestPenaltyMs: number;
  /** Bytes of answers that one principal has not taken, over all its connections. Default 67 108 864. */
  readonly maxUnreadBytesPerCaller: number;
  /** The same of one address for callers that are not proven, the page's files among them. Default 16 777 216. */
  readonly maxUnreadBytesPerAddress: number;
  /** The same of all. Default 268 435 456. */
  readonly maxUnreadBytes: number;
  /** Faults of one kind inside this time are reported as one with a count. Default 1 000. */
  readonly faultWindowMs: number;
}

/** The defaults that the fields above name. */
export const defaultListenerLimits: ListenerLimits = {
  maxConnections: 2_000,
  maxConnectionsPerAddress: 50,
  sniffTimeoutMs: 5_000,
  firstRequestTimeoutMs: 10_000,
  requestBodyTimeoutMs: 10_000,
  http1HeadersTimeoutMs: 10_000,
  http1RequestTimeoutMs: 30_000,
  http1TimeoutCheckIntervalMs: 1_000,
  keepAliveTimeoutMs: 65_000,
  http2IdleTimeoutMs: 300_000,
  pingIntervalMs: 20_000,
  pingTimeoutMs: 10_000,
  readerStallTimeoutMs: 30_000,
  tcpKeepAliveDelayMs: 15_000,
  maxHeaderBytes: 16_384,
  maxHeaderPairs: 64,
  maxConcurrentStreams: 100,
  streamWindowBytes: 65_536,
  connectionWindowBytes: 65_536,
  maxSessionMemoryMegabytes: 8,
  maxOutstandingPings: 10,
  maxSettings: 32,
  streamResetBurst: 200,
  streamResetsPerSecond: 20,
  firstMessageTimeoutMs: 10_000,
  maxAnonymousCalls: 512,
  maxAnonymousCallsPerAddress: 64,
  anonymousBurstBytes: 8_388_608,
  anonymousBytesPerSecond: 1_048_576,
  longestPenaltyMs: 5_000,
  maxUnreadBytesPerCaller: 67_108_864,
  maxUnreadBytesPerAddress: 16_777_216,
  maxUnreadBytes: 268_435_456,
  faultWindowMs: 1_000,
};

/**
 * HTTP/2: bytes that may be on their way between our own services, either way, ahead of the reading. With less than a page
 * or a batch, both ends take turns waiting for each other.
 */
export const hopWindows = {
  /** One stream: a page, or a full batch, goes in one piece. A reader that stalls holds as much. */
  streamBytes: 1_048_576,
  /** All streams of a connection together. */
  connectionBytes: 4_194_304,
} as const;

/** Connections that one of our own services opens to a peer: one for each kind of call (directory.ts). */
const connectionsOfPeer = 3;
/** HTTP/2: open streams of one connection that our own services may have. */
const hopStreams = 4_096;
/** HTTP/2: what may wait to be sent on one connection of our own services: hundreds of pages of a megabyte. */
const hopMemoryMegabytes = 512;

/**
 * What a listener grants that serves no gateway, made of what one that does would grant to strangers. Only our own
 * services call there, and one connection carries what they do for all their callers: a gateway resets there what
 * strangers reset at its own edge, and a connection that is cut takes the streams of all of them along.
 *
 * - maxConnectionsPerAddress: three times as many, so that as many peers have place.
 * - maxConcurrentStreams: 4 096, or what strangers have when that is more.
 * - streamWindowBytes, connectionWindowBytes: hopWindows, or what strangers have when that is more.
 * - maxSessionMemoryMegabytes: 512, or what strangers have when that is more.
 * - streamResetBurst, streamResetsPerSecond: what maxConnections strangers may do together.
 * - firstMessageTimeoutMs: none; a gateway keeps its stream to a peer open while nobody reads anything.
 * - longestPenaltyMs: a tenth, so that a peer at the address of a stranger who misbehaves is back at once.
 * - maxUnreadBytesPerCaller: what all may have; a peer calls in the name of each of its own callers.
 */
export function limitsOfHops(strangers: ListenerLimits): ListenerLimits {
  return {
    ...strangers,
    maxConnectionsPerAddress: strangers.maxConnectionsPerAddress * connectionsOfPeer,
    maxConcurrentStreams: Math.max(strangers.maxConcurrentStreams, hopStreams),
    streamWindowBytes: Math.max(strangers.streamWindowBytes, hopWindows.streamBytes),
    connectionWindowBytes: Math.max(strangers.connectionWindowBytes, hopWindows.connectionBytes),
    maxSessionMemoryMegabytes: Math.max(strangers.maxSessionMemoryMegabytes, hopMemoryMegabytes),
    streamResetBurst: strangers.streamResetBurst * strangers.maxConnections,
    streamResetsPerSecond: strangers.streamResetsPerSecond * strangers.maxConnections,
    firstMessageTimeoutMs: longestWaitMs,
    longestPenaltyMs: Math.ceil(strangers.longestPenaltyMs / 10),
    maxUnreadBytesPerCaller: strangers.maxUnreadBytes,
  };
}
