/** Order statistics of measured values. */

/** The value below which the share `q` (0–1) of the values lies: nearest rank. NaN when there are none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN;
}

/** The middle value; of an even count the lower one of the two. NaN when there are none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}
