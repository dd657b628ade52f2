/** What models' APIs refused of a conversation, as its log tells (HistoryMended). Keeps L7: the newest `mostMends`. */
import type { MendedBlock } from "../../../gen/atoll/event/v1/model_events_pb.ts";
import type { Mend } from "../models/model.ts";

const mostMends = 1_024;

export class MendedHistory {
  readonly #mends: Map<string, Mend>;

  constructor(mends: Iterable<readonly [string, Mend]> = []) {
    this.#mends = new Map(mends);
  }

  /** By the block that each stands for. */
  get mends(): ReadonlyMap<string, Mend> {
    return this.#mends;
  }

  add(blocks: readonly Pick<MendedBlock, "block" | "note" | "keepBytes">[]): void {
    for (const { block, note, keepBytes } of blocks)
      this.#mends.set(block, { block, note, keepBytes: Number(keepBytes) });
    for (const oldest of [...this.#mends.keys()].slice(0, Math.max(0, this.#mends.size - mostMends))) {
      this.#mends.delete(oldest);
    }
  }

  copy(): MendedHistory {
    return new MendedHistory(this.#mends);
  }
}
