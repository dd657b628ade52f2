/** Makes what a worker is told of a run that it was given: the run, its session, a token for it and the newest events. */
import { create } from "@bufbuild/protobuf";
import { type RawRunOffer, RawRunOfferSchema } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import { LogDamaged } from "../../kernel/store/store-errors.ts";
import { toRun, toSession } from "../reading/session-message.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { Claimed } from "../store/changes.ts";
import type { SessionRow } from "../store/rows.ts";
import type { SessionStore } from "../store/session-store.ts";
import type { RunLease } from "./run-lease.ts";
import { issueRunToken } from "./run-tokens.ts";

/** What an offer carries of the log, so that most turns need no other read of it. */
const recentEvents = 256;
const recentBytes = 65_536;

/** Errors: what the store's reads throw. */
export async function makeOffer(
  deps: SessionDeps,
  { run, session }: Pick<Claimed, "run" | "session">,
  lease: RunLease,
): Promise<RawRunOffer> {
  const runToken = await issueRunToken(deps, lease);
  const recent = await readRecent(deps.store, session);
  const agent = deps.settings.agents.get(run.agentId)?.offered;
  const known = agent === undefined ? {} : { agent };
  return create(RawRunOfferSchema, { run: toRun(run), session: toSession(session), runToken, recent, ...known });
}

/** The newest events through the head that the offer states. */
async function readRecent(store: SessionStore, { tenant, sessionId, headSeq }: SessionRow): Promise<Uint8Array[]> {
  const range = { afterSeq: Math.max(0, headSeq - recentEvents), throughSeq: headSeq };
  const bounds = { maxEvents: recentEvents, maxBytes: recentBytes };
  // The worker reads a log that is damaged by itself, and learns how.
  const page = await store.readEvents({ tenant }, sessionId, { ...range, ...bounds }).catch((error: unknown) => {
    if (error instanceof LogDamaged) return { kind: "damaged" } as const;
    throw error;
  });
  if (page.kind !== "page" || page.events.at(-1)?.seq !== headSeq) return [];
  return page.events.map(({ bytes }) => bytes);
}
