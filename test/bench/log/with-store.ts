/** A folder, and the session store in it, for as long as a measurement takes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSessionStore } from "../../../services/session/store/open-session-store.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";

export async function withFolder<Result>(use: (folder: string) => Result | Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "atoll-bench-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** While it is open, nobody else can read its files. */
export async function withStore<Result>(
  folder: string,
  use: (store: SessionStore) => Promise<Result>,
): Promise<Result> {
  const store = await openSessionStore(folder, () => Date.now());
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}
