/**
 * Keeps the data folder out of the reach of agents: it is neither the workspace, nor in it, nor around it.
 *
 * Folders are compared as the disk has them, by device and number: links, `..`, mounts and the case of letters make no
 * difference. What is not there yet is compared by the real name of the folder that it would be made in.
 */
import { realpath, stat } from "node:fs/promises";
import path from "node:path";
import { DataDirError } from "./data-dir.ts";

/** Throws DataDirError (INSIDE_EACH_OTHER). Makes nothing. */
export async function partFolders(dataDir: string, workspaceDir: string): Promise<void> {
  const isApart = !(await isWithin(dataDir, workspaceDir)) && !(await isWithin(workspaceDir, dataDir));
  if (isApart) return;
  const advice = [
    `Name a data folder outside of the workspace (${workspaceDir}) with --data, ATOLL_DATA or \`data\` in the file,`,
    "for example ~/.local/share/atoll/ and a name, or a workspace of its own with `workspace` in the file.",
  ];
  throw new DataDirError("INSIDE_EACH_OTHER", dataDir, advice.join(" "));
}

async function isWithin(inner: string, outer: string): Promise<boolean> {
  const [realInner, realOuter] = await Promise.all([realName(inner), realName(outer)]);
  const way = path.relative(realOuter, realInner);
  if (way === "" || !(way === ".." || way.startsWith(`..${path.sep}`) || path.isAbsolute(way))) return true;
  const wanted = await stat(realOuter, { bigint: true }).catch(() => undefined);
  for (let at = realInner; wanted !== undefined; at = path.dirname(at)) {
    const found = await stat(at, { bigint: true }).catch(() => undefined);
    if (found !== undefined && found.dev === wanted.dev && found.ino === wanted.ino) return true;
    if (at === path.dirname(at)) return false;
  }
  return false;
}

/** With its links followed, as far as it is there. */
async function realName(dir: string): Promise<string> {
  const missing: string[] = [];
  for (let at = path.resolve(dir); ; at = path.dirname(at)) {
    const real = await realpath(at).catch(() => undefined);
    if (real !== undefined) return path.join(real, ...missing);
    missing.unshift(path.basename(at));
    if (at === path.dirname(at)) return path.join(at, ...missing.slice(1));
  }
}
