/** `atoll sessions`: find the sessions, name, label and delete them. */

import { toJsonString } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Client, createClient } from "@connectrpc/connect";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import { type Session, SessionSchema } from "../../../gen/atoll/session/v1/session_pb.ts";
import { SessionService } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { newId } from "../../kernel/id.ts";
import { visibleText } from "../../kernel/visible-text.ts";
import { type Command, type CommandInput, type Output, UsageError } from "../command.ts";
import { connectMesh } from "../connect-mesh.ts";
import { clientFlags } from "../flags.ts";
import { describeUnknown } from "../parse-command-line.ts";
import { zonedTime } from "../printing/zoned-time.ts";
import { getSession } from "../session-name.ts";

const pageSize = 200;

type Sessions = Client<typeof SessionService>;
type Action = (client: Sessions, words: readonly string[], input: CommandInput) => Promise<number>;

const actions: Readonly<Record<string, Action>> = {
  list: (client, words, input) => list(client, expectNoWords(words), input),
  search: (client, words, input) => list(client, oneText("search WORDS", words), input),
  rename: async (client, [name, ...title], { flags, output }) => {
    const text = oneText("rename SESSION TITLE", title);
    const { sessionId } = await getSession(client, nameOf("rename SESSION TITLE", name));
    return update(client, { sessionId, session: { title: text }, path: "title" }, { flags, output });
  },
  label: async (client, [name, ...pairs], { flags, output }) => {
    if (pairs.length === 0) throw new UsageError("atoll sessions label SESSION NAME=VALUE …; NAME= takes a label away");
    const changes = readLabels(pairs);
    const session = await getSession(client, nameOf("label SESSION NAME=VALUE", name));
    const kept = Object.entries({ ...session.labels, ...changes }).filter(([, value]) => value !== "");
    const labels = Object.fromEntries(kept);
    return update(client, { sessionId: session.sessionId, session: { labels }, path: "labels" }, { flags, output });
  },
  delete: async (client, [name, ...others], { flags, output }) => {
    if (others.length > 0) throw new UsageError("atoll sessions delete SESSION: one at a time");
    const session = await getSession(client, nameOf("delete SESSION", name));
    await client.deleteSession({ requestId: newId("req"), sessionId: session.sessionId });
    if (flags.json === true) output.json(JSON.stringify({ deleted: session.sessionId }));
    else output.line(`deleted ${session.sessionId}  ${nameForPeople(session)}`);
    return 0;
  },
};

export const sessions: Command = {
  usage: "[search WORDS | rename SESSION TITLE | label SESSION NAME=VALUE … | delete SESSION]",
  summary: "List the sessions, newest change first; search, rename, label or delete them.",
  details: [
    "",
    "SESSION is an id (ses_…) or a key. NAME= takes a label away. What is deleted is gone, its log with it.",
    "A line: id, key, time of the last change, state, events, title.",
  ],
  flags: ["label", ...clientFlags],
  run(input) {
    const [name = "list", ...words] = input.words;
    const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
    if (action === undefined)
      throw new UsageError(describeUnknown(name, Object.keys(actions)).replace("atoll ", "atoll sessions "));
    if (input.flags.label !== undefined && name !== "list" && name !== "search") {
      throw new UsageError(`--label finds sessions; to label one: atoll sessions label SESSION NAME=VALUE`);
    }
    return action(createClient(SessionService, connectMesh(input)), words, input);
  },
};

async function list(client: Sessions, query: string, { output, flags }: CommandInput): Promise<number> {
  const labels = readLabels(flags.label ?? []);
  let pageToken = "";
  let count = 0;
  do {
    const page = await client.listSessions({ pageSize, pageToken, query, labels });
    for (const session of page.sessions) show(session, output, flags.json === true);
    count += page.sessions.length;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  if (count > 0) return 0;
  const isAll = query === "" && Object.keys(labels).length === 0;
  output.note(isAll ? 'No session yet: `npx --no atoll chat "hello"` makes one.' : "No session is like that.");
  return 0;
}

async function update(
  client: Sessions,
  change: {
    readonly sessionId: string;
    readonly session: Partial<Pick<Session, "title" | "labels">>;
    readonly path: string;
  },
  { flags, output }: Pick<CommandInput, "flags" | "output">,
): Promise<number> {
  const { session } = await client.updateSession({
    requestId: newId("req"),
    sessionId: change.sessionId,
    session: change.session,
    updateMask: { paths: [change.path] },
  });
  if (session !== undefined) show(session, output, flags.json === true);
  return 0;
}

const states: Readonly<Record<number, string>> = {
  [SessionState.CREATED]: "created",
  [SessionState.ACTIVE]: "active",
  [SessionState.IDLE]: "idle",
  [SessionState.CLOSED]: "closed",
};

function show(session: Session, output: Output, isJson: boolean): void {
  if (isJson) {
    output.json(toJsonString(SessionSchema, session));
    return;
  }
  const { sessionId, key, updatedAt, activeRunId, state, headSeq, labels } = session;
  const changed = updatedAt === undefined ? "" : zonedTime(timestampMs(updatedAt));
  const busy = activeRunId === "" ? (states[state] ?? "") : "running";
  const marks = Object.entries(labels)
    .map(([name, value]) => visibleText(`${name}=${value}`))
    .sort();
  output.line(
    [
      sessionId,
      visibleText(key || "-").padEnd(24),
      changed,
      busy.padEnd(7),
      `${String(headSeq).padStart(6)} events`,
      visibleText(session.title),
      marks.length === 0 ? "" : `[${marks.join(", ")}]`,
    ]
      .join("  ")
      .trimEnd(),
  );
}

function nameForPeople({ key, title }: Session): string {
  return visibleText([key, title].filter((part) => part !== "").join("  "));
}

/** `NAME=VALUE` each. */
function readLabels(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new UsageError(`a label is NAME=VALUE, not ${pair}`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

function nameOf(usage: string, name: string | undefined): string {
  if (name === undefined) throw new UsageError(`atoll sessions ${usage}`);
  return name;
}

function oneText(usage: string, words: readonly string[]): string {
  const text = words.join(" ").trim();
  if (text === "") throw new UsageError(`atoll sessions ${usage}`);
  return text;
}

function expectNoWords(words: readonly string[]): string {
  if (words.length > 0) throw new UsageError("atoll sessions list takes no words; `atoll sessions search WORDS` finds");
  return "";
}
