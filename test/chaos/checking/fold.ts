/**
 * The checker's own fold: what a log says, independent of how its deltas were merged. Written from the rules (S3, S8),
 * not from the code under test.
 */
import { createHash } from "node:crypto";
import type { AppliedEvent } from "../history.ts";

export class Fold {
  readonly #blocks = new Map<string, Buffer>();
  readonly #said = createHash("sha256");
  readonly problems: string[] = [];

  /** `hides` names bodies that the reader does not see. */
  apply(event: AppliedEvent, hides: ReadonlySet<string> = new Set()): void {
    if (event.body === "omitted" || hides.has(event.body)) return;
    if (event.text === undefined) {
      this.#said.update(`${event.seq} ${event.body} ${event.run} ${event.attempt} ${event.step} ${event.digest}\n`);
      return;
    }
    const id = `${event.run}/${event.block}`;
    const known = this.#blocks.get(id) ?? Buffer.alloc(0);
    const offset = event.offset ?? 0;
    if (offset > known.length) {
      this.problems.push(`seq ${event.seq}: offset ${offset} of block ${id} is past its ${known.length} bytes`);
      return;
    }
    this.#blocks.set(id, Buffer.concat([known.subarray(0, offset), Buffer.from(event.text)]));
  }

  digest(): string {
    const blocks = createHash("sha256");
    for (const [id, text] of [...this.#blocks].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      blocks.update(`${id} ${text.length} `).update(text);
    }
    return `${this.#said.copy().digest("hex").slice(0, 16)}-${blocks.digest("hex").slice(0, 16)}`;
  }
}
