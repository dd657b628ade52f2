// Keeps: a typing slip in a key or word is answered with the right one; a far guess is not made.

/** The candidate that was most likely meant, or undefined. */
export function nearMiss(found: string, candidates: readonly string[]): string | undefined {
  const wanted = plain(found);
  if (wanted === "") return undefined;
  const bound = wanted.length <= 3 ? 1 : Math.min(3, Math.ceil(wanted.length / 4));
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = slips(wanted, plain(candidate));
    if (distance <= bound && distance < (best?.distance ?? Infinity)) best = { candidate, distance };
  }
  if (best !== undefined || wanted.length < 3) return best?.candidate;
  const longer = candidates.filter((candidate) => plain(candidate).startsWith(wanted));
  return longer.length === 1 ? longer[0] : undefined;
}

/** `lease_ttl_ms`, `lease-ttl-ms` and `leaseTTLms` are the same word written otherwise. */
function plain(text: string): string {
  return text
    .replace(/[_\-\s.]/g, "")
    .toLowerCase()
    .slice(0, 64);
}

/** Damerau's distance: letters added, left out, changed, or swapped with their neighbour. */
function slips(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1];
      let cost = Math.min(at(last, column) + 1, at(current, column - 1) + 1, at(last, column - 1) + (same ? 0 : 1));
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && swapped) cost = Math.min(cost, at(beforeLast, column - 2) + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return at(last, right.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}
