/** Which nodes of a schema became looser in a walk over it, by what was dropped in them or in what they refer to. */
export class LoosenedNodes {
  readonly #dropped = new Set<unknown>();
  /** Raw node → the targets that it or its parts refer to. */
  readonly #refs = new Map<unknown, Set<unknown>>();
  /** The raw nodes from the root, or from a target, to the present one. */
  readonly #open: unknown[] = [];

  enter(node: unknown): void {
    this.#open.push(node);
  }

  leave(): void {
    this.#open.pop();
  }

  /** The present node refers to this one. */
  refer(target: unknown): void {
    for (const node of this.#open) {
      const targets = this.#refs.get(node) ?? new Set();
      this.#refs.set(node, targets.add(target));
    }
  }

  /** From here on the schema takes more than its server wrote. */
  loosen(): void {
    for (const node of this.#open) this.#dropped.add(node);
  }

  all(): ReadonlySet<unknown> {
    const referrers = new Map<unknown, unknown[]>();
    for (const [node, targets] of this.#refs) {
      for (const target of targets) {
        const known = referrers.get(target);
        if (known === undefined) referrers.set(target, [node]);
        else known.push(node);
      }
    }
    const all = new Set(this.#dropped);
    // A set's iterator comes to what is added meanwhile.
    for (const node of all) for (const referrer of referrers.get(node) ?? []) all.add(referrer);
    return all;
  }
}
