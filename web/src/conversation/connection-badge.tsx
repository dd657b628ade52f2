/** Whether what is shown is live. */
import type { ConnectionState } from "../../client/subscribe.ts";

export function ConnectionBadge({ state }: { readonly state: ConnectionState }) {
  const { tone, text, detail } = describe(state);
  return (
    <span className={`badge ${tone}`} role="status" title={detail}>
      <span className={`dot ${tone}`} />
      {text}
    </span>
  );
}

function describe(state: ConnectionState): { readonly tone: string; readonly text: string; readonly detail: string } {
  switch (state.kind) {
    case "connecting":
      return { tone: "busy", text: "Connecting", detail: "Opening the stream" };
    case "live":
      return { tone: "good", text: "Live", detail: "Every event is shown as it is committed" };
    case "waiting":
      return {
        tone: "warn",
        text: "Reconnecting",
        detail: `${state.reason}; next try in ${(state.retryInMs / 1000).toFixed(1)} s. Nothing is lost.`,
      };
    case "ended":
      return { tone: "bad", text: "Offline", detail: `The stream ended: ${state.why}` };
  }
}
