/** What must hold for every client: the conversation, its events, and typed errors. Each client's test is one call. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { reasonName } from "../../services/kernel/errors.ts";
import { verifies } from "../requirements.ts";
import { type MeshProcess, startMeshProcess } from "../support/mesh-process.ts";
import {
  answerOf,
  type Conversation,
  converseInChat,
  converseUnary,
  kindsOf,
  question,
  readFrames,
  textMessage,
} from "./hold-conversation.ts";
import { type CreateClient, type InteropClient, type Refusal, RefusedError } from "./interop-client.ts";
import { expectSameEvents, readEvents, readLog } from "./same-events.ts";

const unknownSession = "ses_00000000000000000000000000";

/** The mesh of a test file: started before its tests, stopped after them. */
export function meshOfThisFile(): () => MeshProcess {
  let mesh: MeshProcess | undefined;
  beforeAll(async () => {
    mesh = await startMeshProcess();
  });
  afterAll(() => mesh?.stop());
  return () => {
    if (mesh === undefined) throw new Error("the mesh is not up");
    return mesh;
  };
}

/** `createClient` is called when a test runs, so that it may depend on what a hook made. */
export function describeConversation(
  name: string,
  clientFor: CreateClient,
  theMesh: () => MeshProcess,
  canChat = true,
): void {
  const client = (token?: string): InteropClient => clientFor(theMesh(), token);

  describe(name, () => {
    test(`holds a conversation over a unary call and a server stream ${verifies("S1", "L3")}`, async () => {
      const key = `interop:${crypto.randomUUID()}`;
      const conversation = await converseUnary(client(), key, question);
      expectAnswer(conversation);
      expectSameEvents({ log: await readLog(theMesh(), conversation.sessionId), [name]: conversation.events });
    });

    test(`resumes after a seq and misses nothing ${verifies("S2")}`, async () => {
      const { sessionId, runIds, events } = await converseUnary(client(), `interop:${crypto.randomUUID()}`, question);
      const middle = Math.floor(events.length / 2);
      const request = { sessionId, afterSeq: String(events[middle - 1]?.seq), untilRunId: runIds[0] ?? "" };
      expect(readEvents(await client().subscribe(request))).toEqual(events.slice(middle));
    });

    test(`gets the first answer again for the same request_id, and ALREADY_EXISTS with another body ${verifies("R1")}`, async () => {
      const request = { requestId: crypto.randomUUID(), sessionKey: `interop:${crypto.randomUUID()}` };
      const first = await client().sendMessage({ ...request, message: textMessage("hello") });
      expect(await client().sendMessage({ ...request, message: textMessage("hello") })).toEqual(first);
      const refusal = await refusalOf(client().sendMessage({ ...request, message: textMessage("good bye") }));
      expect(refusal).toMatchObject({ code: "already_exists", reason: "REQUEST_ID_REUSED", domain: "atoll" });
    });

    test("is told which fields of a request are wrong", async () => {
      const refusal = await refusalOf(client().sendMessage({}));
      expect(refusal).toMatchObject({ code: "invalid_argument", reason: "FIELD_INVALID", domain: "atoll" });
      expect(refusal.fieldPaths).toEqual(["request_id", "message"]);
    });

    test("is told of a session that does not exist, on a unary call and on a stream", async () => {
      const notFound = {
        code: "not_found",
        reason: "SESSION_NOT_FOUND",
        domain: "atoll",
        metadata: { session_id: unknownSession },
      };
      const message = textMessage("hello");
      const send = client().sendMessage({ requestId: crypto.randomUUID(), sessionId: unknownSession, message });
      expect(await refusalOf(send)).toMatchObject(notFound);
      expect(await refusalOf(client().subscribe({ sessionId: unknownSession }))).toMatchObject(notFound);
    });

    test("is refused without a token and with a wrong one", async () => {
      for (const token of ["", "wrong"]) {
        const refusal = await refusalOf(client(token).subscribe({ sessionId: unknownSession }));
        expect(refusal).toMatchObject({ code: "unauthenticated", reason: "TOKEN_INVALID", domain: "atoll" });
      }
    });

    if (!canChat) return;

    test(`holds a conversation of two messages on one Chat stream ${verifies("S1", "L3")}`, async () => {
      const key = `interop:${crypto.randomUUID()}`;
      const conversation = await converseInChat(client(), { sessionKey: key, say: [question, "thank you"] });
      expect(new Set(conversation.runIds).size).toBe(2);
      expectAnswer(conversation);
      expectSameEvents({ log: await readLog(theMesh(), conversation.sessionId), [name]: conversation.events });
    });

    test("has a wrong Chat frame refused under its request_id, and the stream goes on", async () => {
      const stream = client().chat?.();
      if (stream === undefined) throw new Error("no Chat");
      const right = `right-${crypto.randomUUID()}`;
      stream.write({ requestId: "wrong", open: { sessionId: unknownSession } });
      stream.write({ requestId: right, open: { sessionKey: `interop:${crypto.randomUUID()}` } });
      const answers: unknown[] = [];
      for await (const { requestId, frame } of readFrames(stream)) {
        if (frame.case === "error") answers.push([requestId, reasonName(frame.value.reason), frame.value.metadata]);
        if (frame.case === "opened") answers.push([requestId, "opened"]);
        if (answers.length < 2 || frame.case === "accepted") continue;
        if (frame.case === "opened") stream.write({ requestId: "close", close: { sessionId: frame.value.sessionId } });
        stream.end();
      }
      expect(answers).toEqual([
        ["wrong", "SESSION_NOT_FOUND", { session_id: unknownSession }],
        [right, "opened"],
      ]);
    });
  });
}

/** The first run really used both tools and said what it read. */
function expectAnswer({ runIds: [runId = ""], events }: Conversation): void {
  const calls = events.flatMap(({ body }) => (body.case === "toolCallProposed" ? [body.value.tool] : []));
  expect(calls).toEqual(["filesystem.list_directory", "filesystem.read_text_file"]);
  expect(kindsOf(events, runId)).toEqual(
    expect.arrayContaining(["runQueued", "runStarted", "stepStarted", "toolCallStarted", "toolCallFinished", "usage"]),
  );
  expect(answerOf(events, runId)).toContain("Buy a boat.");
  for (const { body } of events) {
    if (body.case === "runFinished") expect(body.value.status).toBe(RunStatus.COMPLETED);
  }
  expect(events.at(-1)?.body.case).toBe("runFinished");
}

async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  const thrown = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof RefusedError) return thrown.refusal;
  throw new Error("was not refused", { cause: thrown });
}
