/** Events that nobody can have any more (L9: a loss is shown). */
import type { LostRange } from "../../client/fold/conversation.ts";

export function LostRangeView({ range }: { readonly range: LostRange }) {
  const count = range.lastSeq - range.firstSeq + 1;
  const events = count === 1 ? "1 event" : `${count} events`;
  const what = range.cause === "trimmed" ? `${events} before this were removed by retention` : `${events} were lost`;
  return (
    <p className="divider">
      <span>{range.reason === "" ? what : `${what}: ${range.reason}`}</span>
    </p>
  );
}
