/**
 * The folders that a mesh works in.
 *
 * Keeps: what lies in the data folder (conversations, token, keys) is its owner's alone (0700), its owner is this process's
 * user, and nobody else can put another one in its place; a folder that can't be written stops the start with what to do.
 */
import { randomBytes } from "node:crypto";
import { chmod, lstat, mkdir, open, readdir, realpath, stat, unlink } from "node:fs/promises";
import path from "node:path";
import { quoteForShell } from "./quote-for-shell.ts";

export type DataDirFailure =
  | "NOT_A_FOLDER"
  | "NOT_WRITABLE"
  | "READ_ONLY"
  | "DISK_FULL"
  | "OPEN_TO_OTHERS"
  | "OF_ANOTHER_USER"
  | "REPLACEABLE"
  | "INSIDE_EACH_OTHER"
  | "UNUSABLE";

/** A folder can't be used; the message is for the person who started the mesh. */
export class DataDirError extends Error {
  override readonly name = "DataDirError";
  readonly reason: DataDirFailure;
  readonly dir: string;

  constructor(reason: DataDirFailure, dir: string, advice: string, cause?: unknown) {
    super(`${describeFailure(reason, dir)} ${advice}`, { cause });
    this.reason = reason;
    this.dir = dir;
  }
}

const groupAndOthers = 0o077;
const nameAnother = "Name another with --data or ATOLL_DATA; default .atoll in the current folder.";

/**
 * Makes the data folder (0700) or checks the one that is there, and checks that it can be written. An empty folder is
 * closed to others; one that holds something and is open to others is left alone and refused, and so is one of another
 * user, before anything is written to it. Throws DataDirError.
 *
 * @param user The user that must own it; undefined where there are none. Default: who runs this process.
 */
export async function makeDataDir(dir: string, user: number | undefined = process.geteuid?.()): Promise<void> {
  await checkOwner(dir, user);
  await makeWritableDir(dir, 0o700, nameAnother);
  if (user === undefined) return;
  const { mode } = await stat(dir);
  if ((mode & groupAndOthers) !== 0) {
    const held = await readdir(dir);
    if (held.length > 0)
      throw new DataDirError("OPEN_TO_OTHERS", dir, `Close it with: chmod 700 ${quoteForShell(dir)}`);
    await chmod(dir, 0o700);
  }
  // The one that was just made, too: a folder above may not be ours.
  await checkOwner(dir, user);
}

/** Checks without a change what `makeDataDir` checks of a folder that is there; a missing one is fine. Throws DataDirError. */
export async function checkOwner(dir: string, user: number | undefined = process.geteuid?.()): Promise<void> {
  if (user === undefined) return;
  const found = await stat(dir).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR"))
      return undefined;
    throw new DataDirError(reasonOf(error), dir, nameAnother, error);
  });
  if (found === undefined) return;
  if (!found.isDirectory()) throw new DataDirError("NOT_A_FOLDER", dir, nameAnother);
  refuseOthers(dir, found.uid, user);
  await refuseReplaceable(dir);
  for (const name of await readdir(dir).catch((): string[] => [])) {
    // A file system's own, where the folder is one.
    if (name === "lost+found") continue;
    const file = path.join(dir, name);
    // Of a link both must be ours: itself and where it leads.
    for (const entry of await Promise.allSettled([lstat(file), stat(file)])) {
      if (entry.status === "fulfilled") refuseOthers(file, entry.value.uid, user);
    }
  }
}

function refuseOthers(file: string, owner: number, user: number): void {
  if (owner === user) return;
  const advice = `Start the mesh as user ${owner}, name another folder with --data or ATOLL_DATA, or, when all of it is yours: chown -R ${user} ${quoteForShell(file)}`;
  throw new DataDirError("OF_ANOTHER_USER", file, advice);
}

const writableByAll = 0o002;
const sticky = 0o1000;

/** A folder above that everybody may write lets everybody move this one away and put theirs there. */
async function refuseReplaceable(dir: string): Promise<void> {
  const real = await realpath(dir).catch(() => dir);
  for (let above = path.dirname(real); ; above = path.dirname(above)) {
    const found = await stat(above).catch(() => undefined);
    if (found !== undefined && (found.mode & writableByAll) !== 0 && (found.mode & sticky) === 0) {
      throw new DataDirError("REPLACEABLE", dir, `Close ${above} with: chmod o-w ${quoteForShell(above)}`);
    }
    if (above === path.dirname(above)) return;
  }
}

/** Makes the folder that agents work in, or checks that the one that is there can be written. Throws DataDirError. */
export async function makeWorkspaceDir(dir: string): Promise<void> {
  await makeWritableDir(
    dir,
    0o777,
    "Name another with `workspace` in the file; default workspace in the current folder.",
  );
}

async function makeWritableDir(dir: string, mode: number, advice: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode });
    await writeProbe(dir);
  } catch (error) {
    throw new DataDirError(reasonOf(error), dir, advice, error);
  }
}

/** Only a write that reached the disk proves that writing works. */
async function writeProbe(dir: string): Promise<void> {
  // A name that nobody can have put a link at.
  const file = path.join(dir, `.write-probe-${randomBytes(8).toString("hex")}`);
  const probe = await open(file, "wx", 0o600);
  try {
    await probe.write("probe");
    await probe.sync();
  } finally {
    await probe.close();
    await unlink(file);
  }
}

function reasonOf(error: unknown): DataDirFailure {
  switch (error instanceof Error && "code" in error ? error.code : undefined) {
    case "EEXIST":
    case "ENOTDIR":
      return "NOT_A_FOLDER";
    case "EACCES":
    case "EPERM":
      return "NOT_WRITABLE";
    case "EROFS":
      return "READ_ONLY";
    case "ENOSPC":
    case "EDQUOT":
      return "DISK_FULL";
    default:
      return "UNUSABLE";
  }
}

function describeFailure(reason: DataDirFailure, dir: string): string {
  switch (reason) {
    case "NOT_A_FOLDER":
      return `${dir} can't be a folder: a file stands in its way.`;
    case "NOT_WRITABLE":
      return `This user may not write in ${dir}.`;
    case "READ_ONLY":
      return `${dir} lies on a file system that is read-only.`;
    case "DISK_FULL":
      return `There is no space left for ${dir}.`;
    case "OPEN_TO_OTHERS":
      return `Other users of this machine can enter ${dir}, which holds conversations and keys.`;
    case "OF_ANOTHER_USER":
      return `${dir} belongs to another user of this machine, who could read and change what the mesh keeps there.`;
    case "REPLACEABLE":
      return `Everybody on this machine could put another folder in the place of ${dir}.`;
    case "INSIDE_EACH_OTHER":
      return `The data folder ${dir} and the workspace overlap: agents could read the mesh's token and keys.`;
    case "UNUSABLE":
      return `${dir} can't be used.`;
  }
}

/** Where the address of the mesh that uses a data folder stands, for its own command line. */
export function addressFile(dataDir: string): string {
  return path.join(dataDir, "address");
}
