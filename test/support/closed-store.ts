/** Work on a session store while no service has it open. */
import { openSessionStore } from "../../services/session/store/open-session-store.ts";
import type { SessionStore } from "../../services/session/store/session-store.ts";

/** Opens the store of a folder for the time of `work`; `nowMs` is its clock. */
export async function withStore<Result>(
  folder: string,
  work: (store: SessionStore) => Promise<Result>,
  nowMs: () => number = Date.now,
): Promise<Result> {
  const store = await openSessionStore(folder, nowMs);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
