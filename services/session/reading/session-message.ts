/** Turns stored rows into the messages of the contract. */
import { create, fromBinary } from "@bufbuild/protobuf";
import { durationFromMs, type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Priority } from "../../../gen/atoll/content/v1/message_pb.ts";
import { RunFailureSchema, type RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { type Run, RunOptionsSchema, RunSchema, RunState } from "../../../gen/atoll/session/v1/run_pb.ts";
import { type Session, SessionSchema } from "../../../gen/atoll/session/v1/session_pb.ts";
import { encodeProfile, readProfile } from "../life/session-profile.ts";
import type { RunRow, SessionRow } from "../store/rows.ts";
import { sessionStates } from "../store/session-states.ts";

const runStates = {
  queued: RunState.QUEUED,
  running: RunState.RUNNING,
  finished: RunState.FINISHED,
} as const satisfies Record<RunRow["state"], RunState>;

export function toSession(row: SessionRow): Session {
  return create(SessionSchema, {
    sessionId: row.sessionId,
    key: row.key,
    agentId: row.agentId,
    state: sessionStates[row.state],
    title: row.title,
    labels: { ...row.labels },
    logId: row.logId,
    headSeq: BigInt(row.headSeq),
    oldestSeq: BigInt(row.oldestSeq),
    activeRunId: row.activeRunId,
    queuedRuns: row.queuedRuns,
    parentSessionId: row.parentSessionId,
    createdBy: row.createdBy,
    messageCount: row.messageCount,
    contextFloorSeq: BigInt(row.contextFloorSeq),
    forkedFromSessionId: row.forkedFromSessionId,
    forkedAtSeq: BigInt(row.forkedAtSeq),
    ...readProfile(row.profile),
    ...(row.idleTimeoutMs === 0 ? {} : { idleTimeout: durationFromMs(row.idleTimeoutMs) }),
    ...whenSet("createdAt", row.createdAtMs),
    ...whenSet("updatedAt", row.updatedAtMs),
    ...whenSet("lastMessageAt", row.lastMessageAtMs),
  });
}

/** A session among many: without what may be large. */
export function toListedSession({ profile, ...row }: SessionRow): Session {
  const { preferences: _, variables: __, ...small } = readProfile(profile);
  return toSession({ ...row, profile: encodeProfile(small) });
}

export function toRun(row: RunRow): Run {
  return create(RunSchema, {
    runId: row.runId,
    sessionId: row.sessionId,
    state: runStates[row.state],
    status: row.status as RunStatus,
    agentId: row.agentId,
    messageIds: [...row.messageIds],
    priority: row.priority as Priority,
    options: fromBinary(RunOptionsSchema, row.options),
    epoch: BigInt(row.epoch),
    attempt: row.attempt,
    queuedSeq: BigInt(row.queuedSeq),
    finishedSeq: BigInt(row.finishedSeq),
    principal: row.principal,
    traceId: row.traceId,
    ...(row.failure.length > 0 ? { failure: fromBinary(RunFailureSchema, row.failure) } : {}),
    ...whenSet("queuedAt", row.queuedAtMs),
    ...whenSet("startedAt", row.startedAtMs),
    ...whenSet("finishedAt", row.finishedAtMs),
  });
}

/** A time that has come; 0 stands for one that has not. */
function whenSet<Name extends string>(name: Name, ms: number): { [Key in Name]?: Timestamp } {
  if (ms === 0) return {};
  return { [name]: timestampFromMs(ms) } as { [Key in Name]: Timestamp };
}
