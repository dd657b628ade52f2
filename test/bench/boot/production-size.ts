/** How large the installed production dependencies are: what `npm ci --omit=dev`, or `npm install` of the package, puts on a disk. */
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface PackageSize {
  readonly name: string;
  /** Bytes of its files. */
  readonly bytes: number;
  /** Bytes of the disk blocks that they and their folders take, as `du` counts. */
  readonly diskBytes: number;
}

interface LockedPackage {
  readonly dev?: boolean;
}

/** The Node binaries that npm brings along are the runtime, not a dependency of the code. */
const runtimePackage = /^node_modules\/node-(bin-)?(linux|darwin|win)-/;

/**
 * The installed packages that the lock file does not mark as development-only, largest first; each without the
 * packages nested in it, which are listed for themselves. Packages for other platforms are not there and count nothing.
 */
export function measureProductionPackages(root: string, lockFile = "package-lock.json"): readonly PackageSize[] {
  const lock = JSON.parse(readFileSync(join(root, lockFile), "utf8")) as {
    readonly packages: Readonly<Record<string, LockedPackage>>;
  };
  return Object.entries(lock.packages)
    .filter(([path, { dev }]) => path.startsWith("node_modules/") && dev !== true && !runtimePackage.test(path))
    .map(([path]) => ({ name: path.slice("node_modules/".length), ...measureFolder(join(root, path)) }))
    .filter(({ bytes }) => bytes > 0)
    .toSorted((a, b) => b.bytes - a.bytes);
}

function measureFolder(folder: string): { bytes: number; diskBytes: number } {
  const total = { bytes: 0, diskBytes: 0 };
  let entries: ReturnType<typeof readFolder>;
  try {
    entries = readFolder(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return total;
    throw error;
  }
  total.diskBytes += lstatSync(folder).blocks * 512;
  for (const entry of entries) {
    if (entry.name === "node_modules") continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      const inner = measureFolder(path);
      total.bytes += inner.bytes;
      total.diskBytes += inner.diskBytes;
    } else {
      const { size, blocks } = lstatSync(path);
      total.bytes += size;
      total.diskBytes += blocks * 512;
    }
  }
  return total;
}

function readFolder(folder: string) {
  return readdirSync(folder, { withFileTypes: true });
}
