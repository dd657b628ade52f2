/**
 * Sends what the person wrote and shows it until the log has it. Keeps R1: text that is sent again after a failure
 * carries the request id of the first try, so an answer that was lost on the way never makes a second run.
 */
import { useCallback, useRef, useState } from "react";
import { TextFormat } from "../../gen/atoll/content/v1/content_block_pb.ts";
import { newRequestId } from "../client/new-request-id.ts";
import { sendMessage } from "../client/send-message.ts";
import { explainError } from "./explain-error.ts";
import type { MeshClients } from "./mesh-clients.ts";

export type Outgoing =
  | { readonly kind: "none" }
  | { readonly kind: "sending"; readonly text: string }
  /** Accepted; shown until the log brings it. */
  | { readonly kind: "accepted"; readonly text: string; readonly sessionId: string; readonly messageId: string }
  | { readonly kind: "failed"; readonly text: string; readonly problem: string };

export function useSend(clients: MeshClients, onAccepted: (sessionId: string) => void) {
  const [outgoing, setOutgoing] = useState<Outgoing>({ kind: "none" });
  const lastTry = useRef({ sessionId: "", text: "", requestId: "" });

  const send = useCallback(
    async (text: string, sessionId: string | undefined) => {
      const before = lastTry.current;
      const isAgain = before.text === text && before.sessionId === (sessionId ?? "");
      const requestId = isAgain ? before.requestId : newRequestId();
      lastTry.current = { sessionId: sessionId ?? "", text, requestId };
      setOutgoing({ kind: "sending", text });
      try {
        const { sessionId: accepted, messageId } = await sendMessage({
          client: clients.gateway,
          request: {
            requestId,
            ...(sessionId !== undefined && { session: { case: "sessionId", value: sessionId } }),
            message: { content: [{ block: { case: "text", value: { text, format: TextFormat.PLAIN } } }] },
          },
        });
        lastTry.current = { sessionId: "", text: "", requestId: "" };
        setOutgoing({ kind: "accepted", text, sessionId: accepted, messageId });
        onAccepted(accepted);
      } catch (error) {
        setOutgoing({ kind: "failed", text, problem: explainError(error) });
      }
    },
    [clients, onAccepted],
  );

  return { outgoing, send };
}
