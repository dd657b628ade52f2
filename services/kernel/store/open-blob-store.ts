/** Chooses the driver behind the BlobStore; the only place that knows it (L2). */
import type { BlobStore } from "./blob-store.ts";
import { openDiskBlobStore } from "./disk/disk-blob-store.ts";

/**
 * Content over a bound. Several processes may have it open. Creates `dataDir` when it is missing (open to its owner alone),
 * takes a clock in milliseconds since 1970 and throws `StoreUnavailable` with a remedy in its message.
 */
export async function openBlobStore(dataDir: string, nowMs: () => number): Promise<BlobStore> {
  return openDiskBlobStore(dataDir, nowMs);
}
