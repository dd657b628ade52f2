import type { StoredEvent } from "../stored-event.ts";
import { packStamped } from "./event-batch.ts";

/** Events as a log that ends at `headSeq` would have them next. */
export function stampEvents(encoded: readonly Uint8Array[], headSeq: number, atMs: number): StoredEvent[] {
  return packStamped(encoded, headSeq, atMs).events;
}
