/**
 * Where a run ends in one session's log, for a reader that wants no more than that.
 *
 * A run's row belongs to the session that it ran in. A fork has copies of that session's events under their numbers, and
 * ends of its own for the runs that were open there: of those only its own log tells.
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { ErrorReason, failedWith, failure } from "../../kernel/errors.ts";
import { readEventBody } from "../../kernel/event/wire/read-event-body.ts";
import { readEventRange } from "../../kernel/event/wire/read-event-range.ts";
import type { GatewayDeps } from "../gateway-deps.ts";

/** Field numbers of atoll.event.v1.Event. */
const toolCallFinishedField = 27;
const runFinishedField = 37;
/** The most that a page of ListEvents has. */
const pageEvents = 5_000;

/**
 * The seq of the run's terminal event in this session's log; undefined while it has none.
 *
 * Ask after the log's first page was read: what that page shows, or no longer shows, is known here then.
 *
 * Errors: RUN_NOT_FOUND when the run is none of this session's, and when it is one that a fork copied and the fork's log
 * no longer has its end.
 */
export async function findRunEnd(
  { session }: Pick<GatewayDeps, "session">,
  { sessionId, runId }: { readonly sessionId: string; readonly runId: string },
  call: CallOptions,
): Promise<number | undefined> {
  const run = await runOf(session, runId, call);
  if (run?.sessionId === sessionId) return run.finishedSeq === 0n ? undefined : Number(run.finishedSeq);
  const { session: found } = await session.getSession({ by: { case: "sessionId", value: sessionId } }, call);
  const isFork = found !== undefined && found.forkedFromSessionId !== "";
  const endSeq = isFork
    ? await endInFork(session, { sessionId, runId, forkedAtSeq: Number(found.forkedAtSeq) }, call)
    : undefined;
  if (endSeq !== undefined) return endSeq;
  throw failure(ErrorReason.RUN_NOT_FOUND, `no such run in session ${sessionId}: ${runId}`, {
    metadata: { run_id: runId },
  });
}

/** Whether the event is this run's terminal one. */
export function endsRun(bytes: Uint8Array, runId: string): boolean {
  return readEventBody(bytes) === runFinishedField && fromBinary(EventSchema, bytes).runId === runId;
}

/** Undefined when there is none, or none that the caller may see. */
async function runOf(session: GatewayDeps["session"], runId: string, call: CallOptions) {
  try {
    return (await session.getRun({ runId }, call)).run;
  } catch (error) {
    if (failedWith(error, ErrorReason.RUN_NOT_FOUND)) return undefined;
    throw error;
  }
}

/** Every run of the copied part has its end in it or right behind it, there behind the outcomes of its calls: no more is read. */
async function endInFork(
  session: GatewayDeps["session"],
  {
    sessionId,
    runId,
    forkedAtSeq,
  }: { readonly sessionId: string; readonly runId: string; readonly forkedAtSeq: number },
  call: CallOptions,
): Promise<number | undefined> {
  let behindSeq = forkedAtSeq;
  for await (const { bytes, seq, oldestSeq } of eventsOf(session, { sessionId, include: ["run_finished"] }, call)) {
    if (endsRun(bytes, runId)) return seq;
    behindSeq = Math.max(behindSeq, oldestSeq - 1);
    if (seq > forkedAtSeq) break;
  }
  const endings = { sessionId, include: ["run_finished", "tool_call_finished"], afterSeq: behindSeq };
  for await (const { bytes, seq } of eventsOf(session, endings, call)) {
    if (endsRun(bytes, runId)) return seq;
    const body = readEventBody(bytes);
    if (body !== runFinishedField && body !== toolCallFinishedField) return undefined;
  }
  return undefined;
}

/** The events of a log that pass a filter, and the ranges between them, behind a seq. */
async function* eventsOf(
  session: GatewayDeps["session"],
  {
    sessionId,
    include,
    afterSeq = 0,
  }: { readonly sessionId: string; readonly include: string[]; readonly afterSeq?: number },
  call: CallOptions,
) {
  const request = { sessionId, pageSize: pageEvents, filter: { include }, cursor: { afterSeq: BigInt(afterSeq) } };
  for (let pageToken = ""; ; ) {
    const page = await session.listEvents({ ...request, pageToken }, call);
    for (const bytes of page.events) {
      yield { bytes, seq: readEventRange(bytes).seq, oldestSeq: Number(page.oldestSeq) };
    }
    pageToken = page.nextPageToken;
    if (pageToken === "") return;
  }
}
