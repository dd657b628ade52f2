/** What a caller is told when a store can't do its work. Keeps L9: the driver's own words are for the log, never sent. */
import type { ConnectError } from "@connectrpc/connect";
import { ErrorReason, failure } from "../../errors.ts";
import { LogDamaged, type StoreProblem, type StoreUnavailable } from "../../store/store-errors.ts";

const retryAfterMs = 1_000;

/** STORE_UNAVAILABLE with a time to retry, or LOG_DAMAGED with the first event that can't be read. */
export function storeFailure(error: StoreUnavailable | LogDamaged): ConnectError {
  if (error instanceof LogDamaged) {
    const { sessionId, seq } = error;
    const message = `event ${seq} of session ${sessionId} is damaged: stop the mesh and run \`atoll doctor\``;
    return failure(ErrorReason.LOG_DAMAGED, message, { metadata: { session_id: sessionId, seq: String(seq) } });
  }
  const { problem } = error;
  return failure(ErrorReason.STORE_UNAVAILABLE, advice[problem], { metadata: { problem }, retryAfterMs });
}

const advice: Readonly<Record<StoreProblem, string>> = {
  "read-only": "the store can't be written: make the data folder writable; nothing was changed",
  "disk-full": "the disk is full: free some space; nothing was changed, and the mesh goes on by itself",
  "io-error": "the disk failed: check it; nothing was changed, and the mesh goes on when it works again",
  "sync-failed": "the disk did not confirm a write: the mesh stops; check the disk and start it again",
  busy: "the store is busy: try again",
  closed: "the mesh is stopping: try again later",
  corrupt: "the store is damaged: stop the mesh and run `atoll doctor`",
  "too-new": "the store was written by a newer Atoll: run that one",
};
