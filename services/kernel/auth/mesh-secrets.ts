/**
 * The secrets that start-up creates in the data folder, each readable by its owner alone (0600): `mesh.key`, from which the
 * key pair is made that signs the mesh's own tokens (signing-keys.ts), the `token` that local programs call with, and the
 * `worker.token` with which a worker attaches. `mesh.pub` beside them is the public key. One that others could read is
 * closed again, and one that is damaged stops the start: a key that is shorter than it should be would sign just as well.
 *
 * Keeps: a process that signs nothing (workers, tool routers) reads `mesh.pub` and `worker.token` and nothing else, so that
 * these two files are all that another machine needs for them.
 */
import { type KeyObject, randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Clock } from "../clock.ts";
import { deriveSigningKeys, readPublicKey, writePublicKey } from "./signing-keys.ts";

export interface MeshSecrets {
  /** What the key pair that signs hops, web tokens and run tokens is made from. 32 bytes. */
  readonly signingKey: Uint8Array;
  /** The bearer token of local programs, `atl_` and 43 characters. */
  readonly localToken: string;
  /** The bearer token of workers, which opens Attach and nothing else; `atw_` and 43 characters. */
  readonly workerToken: string;
}

/** What a process that signs nothing holds. */
export type PeerSecrets = Pick<MeshSecrets, "workerToken"> & { readonly publicKey: KeyObject };

/** Everything that starts at the same time in a new folder finds the keys that one of them makes. */
const keysWaitMs = 10_000;
const keysLookMs = 100;

const ownerOnly = 0o600;

/** The file that the CLI reads the local token from. */
export function localTokenFile(dataDir: string): string {
  return join(dataDir, "token");
}

/** Reads the secrets, creating what is missing. Several processes may do so at the same time. */
export function openMeshSecrets(dataDir: string): MeshSecrets {
  const key = readOrCreate(join(dataDir, "mesh.key"), "");
  const localToken = readOrCreate(localTokenFile(dataDir), "atl_");
  const workerToken = readOrCreate(join(dataDir, "worker.token"), "atw_");
  const signingKey = Buffer.from(key, "base64url");
  publish(join(dataDir, "mesh.pub"), writePublicKey(deriveSigningKeys(signingKey).publicKey));
  return { signingKey, localToken, workerToken };
}

/**
 * Reads what a process needs that signs nothing; waits 10 s for the session service or a gateway that makes it with its
 * first start. Throws when it does not come.
 */
export async function openPeerSecrets(dataDir: string, clock: Clock): Promise<PeerSecrets> {
  const untilMs = clock.monotonicMs() + keysWaitMs;
  for (;;) {
    const publicKey = readIfThere(join(dataDir, "mesh.pub"), "");
    const workerToken = readIfThere(join(dataDir, "worker.token"), "atw_");
    if (publicKey !== undefined && workerToken !== undefined) {
      return { publicKey: readPublicKey(publicKey), workerToken };
    }
    if (clock.monotonicMs() >= untilMs) {
      throw new Error(
        `${dataDir} has no mesh.pub and worker.token: start the session service on this folder first, or copy the two files from its data folder`,
      );
    }
    await clock.sleep(keysLookMs);
  }
}

/** What others read follows from the key: it is written anew when it is not what it should be. */
function publish(path: string, content: string): void {
  if (isContent(path, content)) return;
  const temporary = writeTemporary(path, content);
  renameSync(temporary, path);
}

function isContent(path: string, content: string): boolean {
  try {
    return readFileSync(path, "utf8").trim() === content;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

function writeTemporary(path: string, content: string): string {
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const file = openSync(temporary, "wx", ownerOnly);
  try {
    writeSync(file, `${content}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return temporary;
}

/** The prefix and 32 random bytes in base64url. */
function readOrCreate(path: string, prefix: string): string {
  const found = readIfThere(path, prefix);
  if (found !== undefined) return found;
  const temporary = writeTemporary(path, `${prefix}${randomBytes(32).toString("base64url")}`);
  try {
    // A link fails when the name is taken, so that the first of several processes wins and the others read its secret.
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    unlinkSync(temporary);
  }
  return readIfThere(path, prefix) ?? readOrCreate(path, prefix);
}

function readIfThere(path: string, prefix: string): string | undefined {
  let content: string;
  try {
    content = readFileSync(path, "utf8").trim();
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, ownerOnly);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  if (content.startsWith(prefix) && /^[\w-]{43}$/.test(content.slice(prefix.length))) return content;
  throw new Error(`${path} is damaged: remove it, and the next start makes a new one`);
}
