/** `atoll sessions`: the sessions, newest change first. */
import { toJsonString } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { type Session, SessionSchema, SessionState } from "../../gen/atoll/session/v1/session_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import type { Command } from "./command.ts";
import { connectMesh } from "./connect-mesh.ts";
import { plain } from "./plain-text.ts";

const pageSize = 200;

export const sessions: Command = {
  usage: "[--json]",
  summary: "List the sessions, newest change first.",
  flags: ["json", "url"],
  async run(input) {
    const client = createClient(SessionService, connectMesh(input));
    const { output, flags } = input;
    let pageToken = "";
    let count = 0;
    do {
      const page = await client.listSessions({ pageSize, pageToken });
      for (const session of page.sessions) {
        output.line(flags.json === true ? toJsonString(SessionSchema, session) : describe(session));
        count += 1;
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    if (count === 0 && flags.json !== true) output.note('No session yet: `npx atoll chat "hello"` makes one.');
    return 0;
  },
};

const states: Readonly<Record<number, string>> = {
  [SessionState.CREATED]: "created",
  [SessionState.ACTIVE]: "active",
  [SessionState.IDLE]: "idle",
  [SessionState.CLOSED]: "closed",
};

function describe(session: Session): string {
  const changed =
    session.updatedAt === undefined ? "" : new Date(timestampMs(session.updatedAt)).toISOString().slice(0, 19);
  const state = session.activeRunId === "" ? (states[session.state] ?? "") : "running";
  const name = plain(session.title || session.key);
  return `${session.sessionId}  ${changed}  ${state.padEnd(8)} ${String(session.headSeq).padStart(7)} events  ${name}`;
}
