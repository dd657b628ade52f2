// Keeps: a time without a unit is read by its size, because programs write seconds or milliseconds in the same key: up to an
// hour it is seconds, beyond that milliseconds (a tool call that may take less than 3.6 s is not what anybody configures).
import type { ConfigNode } from "../reading/config-node.ts";

const mostSeconds = 3_600;

export interface TimeoutReading {
  /** Whole milliseconds, 0 for "no bound". */
  readonly ms: number;
  /** Whether the unit was guessed. */
  readonly guessed: boolean;
}

/** Reads `60`, `60000`, `"30s"`, `"5m"`; undefined when it is no time. */
export function readTimeout(node: ConfigNode, unit: "ms" | "s" | undefined): TimeoutReading | undefined {
  if (node.kind !== "scalar") return undefined;
  const [, digits, written] = /^(-?\d+(?:\.\d+)?)\s*(ms|s|m|min)?$/.exec(String(node.value).trim()) ?? [];
  if (digits === undefined) return undefined;
  const value = Number(digits);
  if (value <= 0) return { ms: 0, guessed: false };
  const known = written ?? unit;
  const factor = factors[known ?? (value <= mostSeconds ? "s" : "ms")] ?? 1;
  return { ms: Math.max(1, Math.round(value * factor)), guessed: known === undefined };
}

const factors: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000 };
