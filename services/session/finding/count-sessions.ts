/** How many sessions there are, and how many of them something happened in lately. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type CountSessionsRequest,
  type CountSessionsResponse,
  CountSessionsResponseSchema,
} from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { boundSession } from "../../kernel/auth/principal.ts";
import { principalOf, scopeOf } from "../../kernel/rpc/call-context.ts";
import type { SessionDeps } from "../session-deps.ts";

const defaultActiveWithinS = 300;

export async function countSessions(
  { store, clock }: Pick<SessionDeps, "store" | "clock">,
  request: CountSessionsRequest,
  context: HandlerContext,
): Promise<CountSessionsResponse> {
  // A token that opens one session knows of no other.
  if (boundSession(principalOf(context)) !== undefined)
    return create(CountSessionsResponseSchema, { total: 1n, active: 1n });
  const activeSinceMs = clock.nowMs() - (request.activeWithinS || defaultActiveWithinS) * 1_000;
  const { total, active } = await store.countSessions(scopeOf(context), { activeSinceMs });
  return create(CountSessionsResponseSchema, { total: BigInt(total), active: BigInt(active) });
}
