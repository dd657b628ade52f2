/** The list of sessions, read again every few seconds while the page is seen, and when it is asked for. */
import { useCallback, useEffect, useState } from "react";
import type { Session } from "../../../gen/atoll/session/v1/session_pb.ts";
import { SessionOrder } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { explainError } from "../explain-error.ts";
import type { MeshClients } from "../mesh-clients.ts";

const refreshIntervalMs = 4_000;
const listTimeoutMs = 10_000;
const pageSize = 100;

export type SessionsState =
  | { readonly kind: "loading" }
  | {
      readonly kind: "loaded";
      readonly sessions: readonly Session[] /** Older ones are left out. */;
      readonly more: boolean;
    }
  | { readonly kind: "failed"; readonly problem: string };

export function useSessions(clients: MeshClients): { readonly state: SessionsState; readonly refresh: () => void } {
  const [state, setState] = useState<SessionsState>({ kind: "loading" });
  const [asked, setAsked] = useState(0);
  const refresh = useCallback(() => setAsked((count) => count + 1), []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of `asked` reads the list again at once.
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async () => {
      try {
        if (!document.hidden) {
          const request = { pageSize, order: SessionOrder.UPDATED_DESC };
          const options = { signal: stop.signal, timeoutMs: listTimeoutMs };
          const { sessions, nextPageToken } = await clients.session.listSessions(request, options);
          setState({ kind: "loaded", sessions, more: nextPageToken !== "" });
        }
      } catch (error) {
        // A list that was read stays: the next try may work, and the conversation shows the connection's state.
        const problem = explainError(error);
        if (!stop.signal.aborted)
          setState((before) => (before.kind === "loaded" ? before : { kind: "failed", problem }));
      }
      if (!stop.signal.aborted) timer = setTimeout(() => void read(), refreshIntervalMs);
    };
    void read();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [clients, asked]);

  return { state, refresh };
}
