/**
 * Blobs as files: `blobs/<tenant>/<first two digits>/<sha256>`.
 *
 * Keeps: a blob appears under its name whole or not at all (temporary name, fsync, rename), its name survives a power cut
 * (fsync of every folder on the way), and no tenant or hash can name a path of its own choosing.
 */
import { createHash, randomUUID } from "node:crypto";
import { accessSync, constants, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { BlobStore, StoredBlob } from "../blob-store.ts";
import { toFileStoreUnavailable } from "../file-errors.ts";
import type { Scope } from "../scope.ts";
import { StoreUnavailable } from "../store-errors.ts";

/** A half-written file that is older belongs to a process that is gone. */
const maxIncomingAgeMs = 60 * 60 * 1000;
/** Folders known to be durable; forgetting one costs an fsync. */
const maxRememberedFolders = 10_000;
const maxFolderName = 255;
const sha256Pattern = /^[0-9a-f]{64}$/;

/** Opens the blob store below `dataDir` and creates it when missing. Throws `StoreUnavailable`. */
export function openDiskBlobStore(dataDir: string, nowMs: () => number): BlobStore {
  const root = join(dataDir, "blobs");
  // A tenant's folder never has this name: its dots are escaped.
  const incoming = join(root, ".incoming");
  try {
    mkdirSync(incoming, { recursive: true, mode: 0o700 });
    accessSync(incoming, constants.W_OK);
    for (const name of readdirSync(incoming)) {
      const path = join(incoming, name);
      const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: Number.POSITIVE_INFINITY };
      if (nowMs() - mtimeMs > maxIncomingAgeMs) {
        rmSync(path, { force: true });
      }
    }
  } catch (error) {
    throw toFileStoreUnavailable(error, `${root} must be writable; check the data folder`);
  }
  return new DiskBlobStore(root, incoming);
}

class DiskBlobStore implements BlobStore {
  private readonly root: string;
  private readonly incoming: string;
  private readonly durableFolders = new Map<string, Promise<void>>();

  constructor(root: string, incoming: string) {
    this.root = root;
    this.incoming = incoming;
  }

  async put(scope: Scope, bytes: Uint8Array): Promise<StoredBlob> {
    const sha256 = hash(bytes);
    const path = this.pathOf(scope.tenant, sha256);
    const temporary = join(this.incoming, randomUUID());
    try {
      await this.makeFolderDurable(dirname(path));
      await writeDurably(temporary, bytes);
      // Replaces an equal file when there is one; that also repairs a damaged one.
      await rename(temporary, path);
      await syncFolder(dirname(path));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {
        // The next opening removes it; the first error is the one to report.
      });
      throw toFileStoreUnavailable(error);
    }
    return { sha256, size: bytes.length };
  }

  async get(scope: Scope, sha256: string): Promise<Uint8Array | undefined> {
    if (!sha256Pattern.test(sha256)) {
      return undefined;
    }
    const bytes = await readIfThere(this.pathOf(scope.tenant, sha256));
    if (bytes !== undefined && hash(bytes) !== sha256) {
      throw new StoreUnavailable("corrupt", new Error(`the blob ${sha256} holds other bytes`));
    }
    return bytes;
  }

  private pathOf(tenant: string, sha256: string): string {
    return join(this.root, folderOfTenant(tenant), sha256.slice(0, 2), sha256);
  }

  /** Creates a folder and waits until all names on the way to it are on disk; once for each folder. */
  private makeFolderDurable(folder: string): Promise<void> {
    const known = this.durableFolders.get(folder);
    if (known !== undefined) {
      return known;
    }
    if (this.durableFolders.size >= maxRememberedFolders) {
      this.durableFolders.clear();
    }
    const made = this.createFolder(folder);
    this.durableFolders.set(folder, made);
    made.catch(() => this.durableFolders.delete(folder));
    return made;
  }

  private async createFolder(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await syncFolder(dirname(folder));
    await syncFolder(this.root);
    await syncFolder(dirname(this.root));
  }
}

/** Lower-case letters, digits and hyphens stay; every other byte is escaped, so that names differ on every file system. */
function folderOfTenant(tenant: string): string {
  let name = "";
  for (const byte of Buffer.from(tenant)) {
    const character = String.fromCharCode(byte);
    name += /[a-z0-9-]/.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`;
  }
  if (name === "" || name.length > maxFolderName) {
    throw new RangeError("a tenant has 1–64 characters");
  }
  return name;
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  // Windows can't open a folder; there the file system orders names by itself.
  if (process.platform === "win32") {
    return;
  }
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      return undefined;
    }
    throw toFileStoreUnavailable(error);
  }
}

function hash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
