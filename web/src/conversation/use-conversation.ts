/** Follows one session for as long as it is shown; draws at most once a frame, however fast events arrive. */
import { useCallback, useEffect, useState } from "react";
import type { Conversation } from "../../client/fold/conversation.ts";
import { followConversation } from "../../client/follow-conversation.ts";
import type { ConnectionState } from "../../client/subscribe.ts";
import { explainError } from "../explain-error.ts";
import type { MeshClients } from "../mesh-clients.ts";

export interface FollowedConversation {
  /** Undefined until the first events arrived. */
  readonly conversation: Conversation | undefined;
  readonly connection: ConnectionState;
  /** Why following ended, for people; empty while it goes on. */
  readonly problem: string;
  /** Follows again after it ended. */
  readonly retry: () => void;
}

type Shown = Omit<FollowedConversation, "retry">;

const nothing: Shown = { conversation: undefined, connection: { kind: "connecting" }, problem: "" };

/** The caller mounts it anew for another session (a `key`). */
export function useConversation(clients: MeshClients, sessionId: string): FollowedConversation {
  const [shown, setShown] = useState<Shown>(nothing);
  const [tries, setTries] = useState(0);
  const retry = useCallback(() => setTries((count) => count + 1), []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of `tries` follows again.
  useEffect(() => {
    const stop = new AbortController();
    let next: Shown = nothing;
    let frame = 0;
    const show = (change: Partial<Shown>) => {
      next = { ...next, ...change };
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        if (!stop.signal.aborted) setShown(next);
      });
    };
    const follow = async () => {
      const onState = (connection: ConnectionState) => show({ connection });
      try {
        const options = { client: clients.gateway, sessionId, signal: stop.signal, onState };
        for await (const conversation of followConversation(options)) show({ conversation });
      } catch (error) {
        show({ problem: explainError(error), connection: { kind: "ended", why: "failed" } });
      }
    };
    void follow();
    return () => {
      stop.abort();
      cancelAnimationFrame(frame);
    };
  }, [clients, sessionId, tries]);

  return { ...shown, retry };
}
