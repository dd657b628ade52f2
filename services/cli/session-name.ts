/** How a session is named on a command line: by its id (`ses_…`), or by a key. */
import type { Client } from "@connectrpc/connect";
import type { Session } from "../../gen/atoll/session/v1/session_pb.ts";
import type { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ErrorReason, failure } from "../kernel/errors.ts";

/** The session of `atoll chat` and `atoll tail` when none is named. */
export const defaultKey = "agent:main:cli";

function sessionNamed(name: string) {
  return isId(name) ? { case: "sessionId" as const, value: name } : { case: "key" as const, value: name };
}

/** The same for a message. */
export function recipientNamed(name: string) {
  return isId(name) ? { case: "sessionId" as const, value: name } : { case: "sessionKey" as const, value: name };
}

/** Throws what GetSession throws: NOT_FOUND when there is none. */
export async function getSession(client: Client<typeof SessionService>, name: string): Promise<Session> {
  const { session } = await client.getSession({ by: sessionNamed(name) });
  if (session === undefined) {
    const metadata = isId(name) ? { session_id: name } : { key: name };
    throw failure(ErrorReason.SESSION_NOT_FOUND, `there is no session ${name}`, { metadata });
  }
  return session;
}

function isId(name: string): boolean {
  return name.startsWith("ses_");
}
