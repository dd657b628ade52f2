/**
 * The two secrets that start-up creates in the data folder, each readable by its owner alone (0600): the key that signs
 * the mesh's own assertions, and the token that local programs call with.
 */
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";

export interface MeshSecrets {
  /** Signs hops, web tokens and run tokens (HS256). 32 bytes. */
  readonly signingKey: Uint8Array;
  /** The bearer token of local programs, `atl_` and 43 characters. */
  readonly localToken: string;
}

/** The file that the CLI reads the local token from. */
export function localTokenFile(dataDir: string): string {
  return join(dataDir, "token");
}

/** Reads the secrets, creating what is missing. Several processes may do so at the same time. */
export function openMeshSecrets(dataDir: string): MeshSecrets {
  const key = readOrCreate(join(dataDir, "mesh.key"), () => randomBytes(32).toString("base64url"));
  const localToken = readOrCreate(localTokenFile(dataDir), () => `atl_${randomBytes(32).toString("base64url")}`);
  return { signingKey: Buffer.from(key, "base64url"), localToken };
}

function readOrCreate(path: string, make: () => string): string {
  const found = readIfThere(path);
  if (found !== undefined) return found;
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const file = openSync(temporary, "wx", 0o600);
  try {
    writeSync(file, `${make()}\n`);
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
  return readIfThere(path) ?? readOrCreate(path, make);
}

function readIfThere(path: string): string | undefined {
  try {
    const content = readFileSync(path, "utf8").trim();
    if (content.length >= 43) return content;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  throw new Error(`${path} is damaged: remove it, and the next start makes a new one`);
}
