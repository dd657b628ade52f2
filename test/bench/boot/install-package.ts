/** The package as `npm pack` makes it, installed into an empty folder. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

/** Returns the folder that it was installed in, with all that came along. Takes up to a minute. */
export function installPackage(root: string, folder: string): string {
  const installed = join(folder, "installed");
  mkdirSync(installed);
  const packed = npm(["pack", "--silent", "--pack-destination", folder], root).trim().split("\n").at(-1) ?? "";
  npm(["install", "--silent", "--no-audit", "--no-fund", join(folder, packed)], installed);
  return installed;
}

function npm(args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync("npm", args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm ${args[0]} failed\n${stdout}${stderr}`);
  return stdout;
}
