/** Turns what node:fs throws into the store's own error (L9: the system's words stay in `cause`). */
import { StoreUnavailable } from "./store-errors.ts";

/** The `StoreUnavailable` that a failed file operation means. `remedy` is for errors of opening a store. */
export function toFileStoreUnavailable(error: unknown, remedy?: string): StoreUnavailable {
  if (error instanceof StoreUnavailable) {
    return error;
  }
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new StoreUnavailable("read-only", error, remedy);
    case "ENOSPC":
    case "EDQUOT":
      return new StoreUnavailable("disk-full", error, remedy);
    default:
      return new StoreUnavailable("io-error", error, remedy);
  }
}
