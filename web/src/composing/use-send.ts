/**
 * Sends what the person wrote and shows it until the log has it. Keeps R1: text that is sent again after a failure
 * carries the request id of the first try, so an answer that was lost on the way never makes a second run.
 */
import { useCallback, useRef, useState } from "react";
import { TextFormat } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { newRequestId } from "../../client/new-request-id.ts";
import { sendMessage } from "../../client/send-message.ts";
import { explainError } from "../explain-error.ts";
import type { MeshClients } from "../mesh-clients.ts";
import { keepDraft, readDraft } from "./drafts.ts";

export type Outgoing =
  | { readonly kind: "none" }
  | { readonly kind: "sending" /** The session; empty for a new one. */; readonly to: string; readonly text: string }
  /** Accepted; shown until the log brings it. */
  | { readonly kind: "accepted"; readonly to: string; readonly text: string; readonly messageId: string }
  | { readonly kind: "failed"; readonly to: string; readonly text: string; readonly problem: string };

/** What concerns the session that is shown (empty: the new one). */
export function outgoingTo(outgoing: Outgoing, shown: string): Outgoing {
  return outgoing.kind !== "none" && outgoing.to === shown ? outgoing : { kind: "none" };
}

export function useSend(clients: MeshClients, onAccepted: (sessionId: string, isNew: boolean) => void) {
  const [outgoing, setOutgoing] = useState<Outgoing>({ kind: "none" });
  const lastTry = useRef({ to: "", text: "", requestId: "" });

  const send = useCallback(
    async (text: string, sessionId: string | undefined) => {
      const to = sessionId ?? "";
      const before = lastTry.current;
      const isAgain = before.text === text && before.to === to;
      const requestId = isAgain ? before.requestId : newRequestId();
      lastTry.current = { to, text, requestId };
      setOutgoing({ kind: "sending", to, text });
      try {
        const { sessionId: accepted, messageId } = await sendMessage({
          client: clients.gateway,
          request: {
            requestId,
            ...(sessionId !== undefined && { session: { case: "sessionId", value: sessionId } }),
            message: { content: [{ block: { case: "text", value: { text, format: TextFormat.PLAIN } } }] },
          },
        });
        lastTry.current = { to: "", text: "", requestId: "" };
        takeDraft(to, accepted, text);
        setOutgoing({ kind: "accepted", to: accepted, text, messageId });
        onAccepted(accepted, to === "");
      } catch (error) {
        setOutgoing({ kind: "failed", to, text, problem: explainError(error) });
      }
    },
    [clients, onAccepted],
  );

  return { outgoing, send };
}

/** What was sent is no draft any more. What was written behind it belongs to the conversation that it made. */
function takeDraft(to: string, accepted: string, text: string): void {
  const draft = readDraft(to);
  if (draft.trim() !== text && to !== accepted) keepDraft(accepted, draft);
  if (draft.trim() === text || to !== accepted) keepDraft(to, "");
}
