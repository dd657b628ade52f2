/** The limits of the port that a configuration can set, over those that it can't. */
import type { ResolvedConfig } from "../../config/resolved-config.ts";
import { defaultListenerLimits, type ListenerLimits } from "./listener-limits.ts";

export function configuredLimits({ limits }: ResolvedConfig): ListenerLimits {
  return {
    ...defaultListenerLimits,
    maxConnections: limits.maxConnections,
    maxConnectionsPerAddress: limits.maxConnectionsPerAddress,
    maxConcurrentStreams: limits.maxStreamsPerConnection,
    firstRequestTimeoutMs: limits.firstRequestTimeoutMs,
    keepAliveTimeoutMs: limits.keepAliveTimeoutMs,
    pingIntervalMs: limits.pingIntervalMs,
    pingTimeoutMs: limits.pingTimeoutMs,
    readerStallTimeoutMs: limits.readerStallTimeoutMs,
  };
}
