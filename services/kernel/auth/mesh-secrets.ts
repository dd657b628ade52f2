/**
 * The two secrets that start-up creates in the data folder, each readable by its owner alone (0600): the key that signs
 * the mesh's own assertions, and the token that local programs call with. One that others could read is closed again, and
 * one that is damaged stops the start: a key that is shorter than it should be would sign just as well.
 */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

export interface MeshSecrets {
  /** Signs hops, web tokens and run tokens (HS256). 32 bytes. */
  readonly signingKey: Uint8Array;
  /** The bearer token of local programs, `atl_` and 43 characters. */
  readonly localToken: string;
}

const ownerOnly = 0o600;

/** The file that the CLI reads the local token from. */
export function localTokenFile(dataDir: string): string {
  return join(dataDir, "token");
}

/** Reads the secrets, creating what is missing. Several processes may do so at the same time. */
export function openMeshSecrets(dataDir: string): MeshSecrets {
  const key = readOrCreate(join(dataDir, "mesh.key"), "");
  const localToken = readOrCreate(localTokenFile(dataDir), "atl_");
  return { signingKey: Buffer.from(key, "base64url"), localToken };
}

/** The prefix and 32 random bytes in base64url. */
function readOrCreate(path: string, prefix: string): string {
  const found = readIfThere(path, prefix);
  if (found !== undefined) return found;
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const file = openSync(temporary, "wx", ownerOnly);
  try {
    writeSync(file, `${prefix}${randomBytes(32).toString("base64url")}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
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
