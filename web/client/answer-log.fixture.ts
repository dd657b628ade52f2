/** The log of one answer, and gateways that serve it honestly or break off. */
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import { eventOf, type SubscribeScript } from "./scripted-gateway.fixture.ts";

export const text = "0123456789";

export const delta = (first: number, last = first): Event =>
  eventOf({
    firstSeq: first,
    seq: last,
    runId: "run_1",
    textDelta: { blockId: "1.1.0", offset: first - 1, text: text.slice(first - 1, last) },
  });

const finished = eventOf({ firstSeq: 11, seq: 11, runId: "run_1", runFinished: { status: "RUN_STATUS_COMPLETED" } });

export const log: readonly Event[] = [...Array.from(text, (_, index) => delta(index + 1)), finished];

export const headSeq = 11n;

export const logId = "log_1";

/** Everything after the cursor, as a gateway that keeps the contract gives it. */
export const honest: SubscribeScript = async function* ({ afterSeq }) {
  yield { events: log.filter((event) => event.seq > afterSeq), logId, headSeq };
};

export const breaksAfter = (
  count: number,
  end: (cut: () => Promise<never>) => Promise<never> | never,
): SubscribeScript =>
  async function* ({ afterSeq }, { cutConnection }) {
    const events = log.filter((event) => event.seq > afterSeq).slice(0, count);
    for (const event of events) yield { events: [event], logId, headSeq };
    await end(cutConnection);
  };
