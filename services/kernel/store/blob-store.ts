/**
 * Where content over a bound lives, named by the hash of its bytes.
 *
 * Contract: `put` is durable (fsync of file and folder) when its promise resolves; putting the same bytes twice is one
 * blob; tenants never see each other's blobs; what throws is a `StoreUnavailable`.
 */
import type { Scope } from "./scope.ts";

export interface StoredBlob {
  /** 64 lowercase hexadecimal digits. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

export interface BlobStore {
  put(scope: Scope, bytes: Uint8Array): Promise<StoredBlob>;
  /** Undefined when there is none. The hash of what is returned was checked. */
  get(scope: Scope, sha256: string): Promise<Uint8Array | undefined>;
}
