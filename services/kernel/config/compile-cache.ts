/**
 * Keeps compiled modules between starts, which saves about a third of the time to the first request, where nobody else can
 * put code of theirs: what is read from there runs with the rights of this process.
 *
 * Keeps: the folder is this user's alone (0700), is no link, and every folder above it belongs to this user or to root and
 * can't be written by anybody else. Where that can't be had, nothing is cached. Node's own place, in the folder for
 * temporary files under a name that everybody knows, is never used.
 */
import { chmodSync, lstatSync, mkdirSync, realpathSync, type Stats } from "node:fs";
import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

export interface CacheOwner {
  /** Undefined where files have no owners. */
  readonly user: number | undefined;
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const root = 0;
const groupAndOthersWrite = 0o022;
const sticky = 0o1000;

/** Begins to use the cache. Does nothing when NODE_COMPILE_CACHE or NODE_DISABLE_COMPILE_CACHE decided already. */
export function keepCompiledModules(owner: CacheOwner = thisProcess()): void {
  const { NODE_COMPILE_CACHE, NODE_DISABLE_COMPILE_CACHE } = owner.env;
  if (NODE_COMPILE_CACHE !== undefined || NODE_DISABLE_COMPILE_CACHE !== undefined) return;
  const folder = makeCacheFolder(owner);
  if (folder !== undefined) enableCompileCache(folder);
}

function thisProcess(): CacheOwner {
  return { user: process.geteuid?.(), platform: process.platform, env: process.env };
}

/** The folder, made when it is missing; undefined when there is none that is ours alone. */
export function makeCacheFolder({ user, platform, env }: CacheOwner = thisProcess()): string | undefined {
  try {
    const folder = join(placeOf(platform, env), "atoll", "compiled");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (user === undefined) return folder;
    const own = lstatSync(folder);
    if (!own.isDirectory() || own.uid !== user) return undefined;
    const real = realpathSync(folder);
    for (let above = dirname(real); ; above = dirname(above)) {
      if (!isSafeAbove(lstatSync(above), user)) return undefined;
      if (above === dirname(above)) break;
    }
    // Only now: who owns all above can't be raced.
    if ((own.mode & 0o077) !== 0) chmodSync(real, 0o700);
    return real;
  } catch {
    // A home that can't be written, or none: the mesh starts without a cache.
    return undefined;
  }
}

/** Whether nobody but this user and root can change what stands in a folder. */
function isSafeAbove({ uid, mode }: Pick<Stats, "uid" | "mode">, user: number): boolean {
  const isOurs = uid === user || uid === root;
  return isOurs && ((mode & groupAndOthersWrite) === 0 || (mode & sticky) !== 0);
}

function placeOf(platform: NodeJS.Platform, env: CacheOwner["env"]): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = env;
  if (platform === "win32") return LOCALAPPDATA || join(homedir(), "AppData", "Local");
  if (XDG_CACHE_HOME?.startsWith("/") === true) return XDG_CACHE_HOME;
  return platform === "darwin" ? join(homedir(), "Library", "Caches") : join(homedir(), ".cache");
}
