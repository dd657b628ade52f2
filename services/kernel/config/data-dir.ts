/**
 * The folders that a mesh works in.
 *
 * Keeps: what lies in the data folder (conversations, token, keys) is for its owner alone (0700), and a folder that can't
 * be written stops the start with what to do about it.
 */
import { chmod, mkdir, open, readdir, stat, unlink } from "node:fs/promises";
import path from "node:path";

export type DataDirFailure =
  | "NOT_A_FOLDER"
  | "NOT_WRITABLE"
  | "READ_ONLY"
  | "DISK_FULL"
  | "OPEN_TO_OTHERS"
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

/**
 * Makes the data folder (0700) or checks the one that is there, and checks that it can be written. An empty folder is
 * closed to others; one that holds something and is open to others is left alone and refused. Throws DataDirError.
 */
export async function makeDataDir(dir: string): Promise<void> {
  await makeWritableDir(dir, 0o700, "Name another with --data or ATOLL_DATA; default .atoll in the current folder.");
  const { mode } = await stat(dir);
  if (process.platform === "win32" || (mode & groupAndOthers) === 0) return;
  const held = await readdir(dir);
  if (held.length > 0) throw new DataDirError("OPEN_TO_OTHERS", dir, `Close it with: chmod 700 ${quote(dir)}`);
  await chmod(dir, 0o700);
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
  const file = path.join(dir, `.write-probe-${process.pid}`);
  const probe = await open(file, "w", 0o600);
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
    case "UNUSABLE":
      return `${dir} can't be used.`;
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
