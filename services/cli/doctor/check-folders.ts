/** The data folder, the workspace and the files of TLS. Makes and changes nothing. */
import { constants, readFileSync } from "node:fs";
import { access, stat } from "node:fs/promises";
import path from "node:path";
import { createSecureContext } from "node:tls";
import { makeCacheFolder } from "../../kernel/config/compile-cache.ts";
import { checkOwner } from "../../kernel/config/folders/data-dir.ts";
import { partFolders } from "../../kernel/config/folders/part-folders.ts";
import type { ResolvedConfig } from "../../kernel/config/resolved-config.ts";
import type { Say } from "./findings.ts";

const groupAndOthers = 0o077;
const groupWrite = 0o020;

export async function checkFolders(config: ResolvedConfig, say: Say): Promise<void> {
  const { dataDir, workspaceDir, tls } = config;
  if (await checkFolder("data folder", dataDir, say)) await checkDataFolder(dataDir, say);
  await checkFolder("workspace", workspaceDir, say);
  await tell("data folder", say, () => partFolders(dataDir, workspaceDir));
  if (tls !== undefined) {
    await tell("tls", say, async () => {
      createSecureContext({ cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) });
      say("tls", "ok", `tls: ${tls.certFile} and its key can be read and fit together`);
    });
  }
  if (makeCacheFolder() === undefined) {
    say("cache", "note", "compiled modules are not kept between starts: no folder for them is this user's alone");
  }
}

/** Whether it is there and can be used. */
async function checkFolder(name: string, folder: string, say: Say): Promise<boolean> {
  try {
    if (!(await stat(folder)).isDirectory()) throw new Error(`${folder} is not a folder`);
    await access(folder, constants.W_OK | constants.X_OK);
    // What is said of the data folder depends on who owns it.
    if (name === "workspace") say(name, "ok", `${name}: ${folder}`);
    return true;
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (isMissing) say(name, "note", `${name}: ${folder} is not there yet; the first start makes it`);
    else say(name, "wrong", `${name}: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

async function checkDataFolder(dataDir: string, say: Say): Promise<void> {
  await tell("data folder", say, async () => {
    await checkOwner(dataDir);
    const user = process.geteuid?.();
    if (user !== undefined && ((await stat(dataDir)).mode & groupAndOthers) !== 0) {
      throw new Error(`other users of this machine can enter ${dataDir}: chmod 700 it`);
    }
    say("data folder", "ok", `data folder: ${dataDir}`);
    const above = await stat(path.dirname(dataDir));
    if (user === undefined || user === above.uid) return;
    const who = (above.mode & groupWrite) === 0 ? `user ${above.uid}` : `user ${above.uid} and group ${above.gid}`;
    say("data folder", "note", `data folder: ${who} could put another one in its place`);
  });
}

/** Says what is thrown. */
async function tell(check: string, say: Say, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    say(check, "wrong", `${check}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
