/** The address of the page: `/` for a new conversation, `/s/<session_id>` for one that exists. */
import { useCallback, useSyncExternalStore } from "react";
import { basePath } from "./base-path.ts";

const pattern = /^\/s\/(ses_[0-9A-Za-z]{1,64})$/;
const moved = "atoll:moved";

function readSessionId(): string | undefined {
  const { pathname } = window.location;
  return pathname.startsWith(basePath) ? pattern.exec(pathname.slice(basePath.length))?.[1] : undefined;
}

function subscribe(onChange: () => void): () => void {
  window.addEventListener("popstate", onChange);
  window.addEventListener(moved, onChange);
  return () => {
    window.removeEventListener("popstate", onChange);
    window.removeEventListener(moved, onChange);
  };
}

export function useRoute(): {
  readonly sessionId: string | undefined;
  readonly open: (sessionId: string | undefined) => void;
  /** Opens the session that a new conversation became, unless the person went elsewhere meanwhile. */
  readonly openIfNew: (sessionId: string) => void;
} {
  const sessionId = useSyncExternalStore(subscribe, readSessionId);
  const open = useCallback((next: string | undefined) => {
    if (next === readSessionId()) return;
    window.history.pushState(null, "", next === undefined ? `${basePath}/` : `${basePath}/s/${next}`);
    window.dispatchEvent(new Event(moved));
  }, []);
  const openIfNew = useCallback(
    (next: string) => {
      if (readSessionId() === undefined) open(next);
    },
    [open],
  );
  return { sessionId, open, openIfNew };
}
