/** The same requests and runs in one process and in four: what a client is promised of what it asked for. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Priority } from "../../gen/atoll/content/v1/message_pb.ts";
import { ErrorReason } from "../../gen/atoll/error/v1/error_reason_pb.ts";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import { QueueMode, RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { RunState } from "../../gen/atoll/session/v1/run_pb.ts";
import { verifies } from "../requirements.ts";
import type { FakeAnthropic } from "../support/fake-anthropic/start-fake-anthropic.ts";
import { type MeshProcess, topologies } from "../support/mesh-process.ts";
import { openChat } from "./chat.fixture.ts";
import {
  clientOver,
  endsOf,
  eventually,
  expectDense,
  fold,
  inSession,
  isTextOf,
  type MeshClient,
  readLog,
  readUntil,
  readUntilEnd,
  refusalOf,
  runOf,
  say,
  textMessage,
} from "./mesh-client.fixture.ts";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "./scripted-mesh.fixture.ts";
import { answerAsAsked, countAsked } from "./scripted-model.fixture.ts";

const question = "which files are in the workspace, and what does notes.md say?";
/** An answer of about a second. */
const slowly = "tokens=100 delay=10";

describe.each(topologies)("runs, %s", (topology) => {
  let scripted: ScriptedMesh;
  let fake: FakeAnthropic;
  let mesh: MeshProcess;
  let client: MeshClient;

  beforeAll(async () => {
    scripted = await startScriptedMesh({ topology });
    ({ fake, mesh, client } = scripted);
  });

  afterAll(async () => {
    await scripted?.stop();
  });

  beforeEach(() => showLogOnFailure(mesh));

  /** A finished run of the offline model that used real tools. */
  async function converse(): Promise<{ sessionId: string; runId: string; events: Event[] }> {
    const { sessionId, runId } = await say(client, question, { options: { model: "offline" } });
    return { sessionId, runId, events: await readUntilEnd(client, { sessionId, runId }) };
  }

  describe("requests", () => {
    test(`the same request_id gets the first answer and starts one run; another body is refused ${verifies("R1")}`, async () => {
      const words = `tokens=5 ${randomUUID()}`;
      const requestId = randomUUID();
      const send = () => client.gateway.sendMessage({ requestId, message: textMessage(words) });
      const answers = await Promise.all([send(), send(), send(), send()]);
      const [first] = answers;
      if (first === undefined) throw new Error("there is no answer");
      for (const answer of answers) expect(answer).toEqual(first);
      const events = await readUntilEnd(client, first);
      expect(await send()).toEqual(first);
      expect(await refusalOf(client.gateway.sendMessage({ requestId, message: textMessage("other") }))).toMatchObject({
        code: "AlreadyExists",
        reason: "REQUEST_ID_REUSED",
        metadata: { request_id: requestId },
      });
      expect(await readLog(client, first.sessionId)).toHaveLength(events.length);
      expect(countAsked(fake.requests(), words)).toBe(1);
    });

    test(`messages that come at once are answered one after another ${verifies("R3", "S1")}`, async () => {
      const { session } = await client.session.createSession({ requestId: randomUUID() });
      const sessionId = session?.sessionId ?? "";
      const sent = await Promise.all(
        [1, 2, 3].map((each) => say(client, `tokens=30 delay=3 number ${each}`, inSession(sessionId))),
      );
      await Promise.all(sent.map(({ runId }) => readUntilEnd(client, { sessionId, runId })));
      const log = await readLog(client, sessionId);
      expectDense(log);
      const turns = log.flatMap(({ body, runId }) =>
        body.case === "runStarted" || body.case === "runFinished" ? [`${body.case} ${runId}`] : [],
      );
      const inOrder = [...sent].sort((a, b) => Number(a.seq - b.seq));
      expect(turns).toEqual(inOrder.flatMap(({ runId }) => [`runStarted ${runId}`, `runFinished ${runId}`]));
      for (const { runId } of sent) expect(endsOf(log, runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
      expect(fold(log).turns.filter(({ kind }) => kind === "run")).toHaveLength(3);
    });

    test(`an urgent message overtakes the ones that wait ${verifies("R3")}`, async () => {
      const first = await say(client, slowly);
      const { sessionId } = first;
      await readUntil(client, sessionId, isTextOf(first.runId));
      const calm = await say(client, "tokens=3", inSession(sessionId));
      const message = { ...textMessage("tokens=3"), priority: Priority.URGENT };
      const urgent = await client.gateway.sendMessage({ requestId: randomUUID(), message, ...inSession(sessionId) });
      await readUntilEnd(client, { sessionId, runId: calm.runId });
      const log = await readLog(client, sessionId);
      const started = log.flatMap(({ body, runId }) => (body.case === "runStarted" ? [runId] : []));
      expect(started).toEqual([first.runId, urgent.runId, calm.runId]);
    });

    test(`a busy session refuses a message that would not wait ${verifies("R3")}`, async () => {
      const { sessionId, runId } = await say(client, slowly);
      const more = { ...inSession(sessionId), queueMode: QueueMode.REJECT };
      expect(await refusalOf(say(client, "now", more))).toMatchObject({
        code: "FailedPrecondition",
        reason: "SESSION_BUSY",
        metadata: { run_id: runId },
      });
      await readUntilEnd(client, { sessionId, runId });
      expect((await readLog(client, sessionId)).filter(({ body }) => body.case === "messageReceived")).toHaveLength(1);
    });

    test(`a steering message is read by the active run, behind what it was saying ${verifies("R3")}`, async () => {
      const first = await say(client, slowly);
      const { sessionId, runId } = first;
      await readUntil(client, sessionId, isTextOf(runId));
      const words = `tokens=4 ${randomUUID()}`;
      const steer = await say(client, words, { ...inSession(sessionId), queueMode: QueueMode.STEER });
      expect(steer.runId).toBe(runId);
      await readUntilEnd(client, first);
      const log = await readLog(client, sessionId);
      expectDense(log);
      expect(endsOf(log, runId)).toMatchObject([{ status: RunStatus.COMPLETED, steps: 2 }]);
      const reads = log.flatMap(({ body }) => (body.case === "stepStarted" ? [body.value.messageIds] : []));
      expect(reads).toEqual([[], [steer.messageId]]);
      expect(countAsked(fake.requests(), words)).toBe(1);
      expect(log.filter(({ body }) => body.case === "runStarted")).toHaveLength(1);
      const kinds = runOf(fold(log), runId).items.map(({ kind }) => kind);
      expect(kinds.filter((kind) => kind !== "note")).toEqual(["block", "message", "block"]);
    });

    test(`collected messages are answered by one run ${verifies("R3")}`, async () => {
      const first = await say(client, slowly);
      const { sessionId } = first;
      await readUntil(client, sessionId, isTextOf(first.runId));
      const more = { ...inSession(sessionId), queueMode: QueueMode.COLLECT };
      const marks = [randomUUID(), randomUUID(), randomUUID()];
      const sent = [];
      for (const mark of marks) sent.push(await say(client, `tokens=3 ${mark}`, more));
      const [{ runId } = first] = sent;
      expect(new Set(sent.map((each) => each.runId))).toEqual(new Set([runId]));
      await readUntilEnd(client, { sessionId, runId });
      const log = await readLog(client, sessionId);
      expect(endsOf(log, runId)).toMatchObject([{ status: RunStatus.COMPLETED, steps: 1 }]);
      const [asked] = fake.requests().filter(({ body }) => JSON.stringify(body).includes(marks[2] ?? ""));
      for (const mark of marks) expect(JSON.stringify(asked?.body)).toContain(mark);
      expect(log.filter(({ body }) => body.case === "runStarted")).toHaveLength(2);
    });

    test(`if_head_seq refuses a message when something new stands in the log ${verifies("R1")}`, async () => {
      const { sessionId, events } = await converse();
      const head = events.at(-1)?.seq ?? 0n;
      expect(await refusalOf(say(client, "hi", { ...inSession(sessionId), ifHeadSeq: head - 1n }))).toMatchObject({
        code: "Aborted",
        reason: "HEAD_MOVED",
        metadata: { head_seq: String(head) },
      });
      const sent = await say(client, "hi", { ...inSession(sessionId), ifHeadSeq: head });
      expect(sent.seq).toBe(head + 1n);
      await readUntilEnd(client, sent);
    });
  });

  describe("runs", () => {
    test(`a running run that is cancelled stops the model call and ends once ${verifies("R2", "R5")}`, async () => {
      const words = `tokens=3000 delay=10 ${randomUUID()}`;
      const { sessionId, runId } = await say(client, words);
      await readUntil(client, sessionId, isTextOf(runId));
      const request = { requestId: randomUUID(), runId, reason: "enough" };
      const answer = await client.gateway.cancelRun(request);
      expect(answer.run?.runId).toBe(runId);
      const events = await readUntilEnd(client, { sessionId, runId });
      expect(endsOf(events, runId)).toMatchObject([{ status: RunStatus.CANCELLED, cancelledBy: "user:local" }]);
      await eventually("the model call was left", () =>
        fake.requests().find(({ body, outcome }) => JSON.stringify(body).includes(words) && outcome === "client-gone"),
      );
      // Again, also after the end: the first answer.
      expect(await client.gateway.cancelRun(request)).toEqual(answer);
      const { run } = await client.session.getRun({ runId });
      expect(run).toMatchObject({ state: RunState.FINISHED, status: RunStatus.CANCELLED });
      expect(endsOf(await readLog(client, sessionId), runId)).toHaveLength(1);
    });

    test(`a cancel stops the model calls of child sessions, too ${verifies("R5")}`, async () => {
      const parent = await say(client, "tokens=3000 delay=10");
      await readUntil(client, parent.sessionId, isTextOf(parent.runId));
      const parentSessionId = parent.sessionId;
      const { session } = await client.session.createSession({ requestId: randomUUID(), parentSessionId });
      const words = `tokens=3000 delay=10 ${randomUUID()}`;
      const child = await say(client, words, inSession(session?.sessionId ?? ""));
      await readUntil(client, child.sessionId, isTextOf(child.runId));
      await client.gateway.cancelRun({ requestId: randomUUID(), runId: parent.runId });
      for (const { sessionId, runId } of [parent, child]) {
        const events = await readUntilEnd(client, { sessionId, runId });
        expect(endsOf(events, runId)).toMatchObject([{ status: RunStatus.CANCELLED, cancelledBy: "user:local" }]);
      }
      await eventually("the child's model call was left", () =>
        fake.requests().find(({ body, outcome }) => JSON.stringify(body).includes(words) && outcome === "client-gone"),
      );
    });

    test(`a waiting run that is cancelled never starts ${verifies("R2", "R3")}`, async () => {
      const first = await say(client, slowly);
      const { sessionId } = first;
      const words = `tokens=5 ${randomUUID()}`;
      const second = await say(client, words, inSession(sessionId));
      const { run } = await client.gateway.cancelRun({ requestId: randomUUID(), runId: second.runId });
      expect(run).toMatchObject({ state: RunState.FINISHED, status: RunStatus.CANCELLED });
      await readUntilEnd(client, first);
      const log = await readLog(client, sessionId);
      expect(endsOf(log, second.runId)).toMatchObject([{ status: RunStatus.CANCELLED }]);
      expect(endsOf(log, first.runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
      expect(log.some(({ body, runId }) => body.case === "runStarted" && runId === second.runId)).toBe(false);
      expect(countAsked(fake.requests(), words)).toBe(0);
    });

    test(`an interrupting message cancels the active run and is answered next ${verifies("R2", "R3")}`, async () => {
      const first = await say(client, "tokens=3000 delay=10");
      const { sessionId } = first;
      await readUntil(client, sessionId, isTextOf(first.runId));
      const second = await say(client, "tokens=5", { ...inSession(sessionId), queueMode: QueueMode.INTERRUPT });
      await readUntilEnd(client, { sessionId, runId: second.runId });
      const log = await readLog(client, sessionId);
      expect(endsOf(log, first.runId)).toMatchObject([{ status: RunStatus.CANCELLED }]);
      expect(endsOf(log, second.runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
      expect(runOf(fold(log), second.runId).state.kind).toBe("finished");
    });

    test(`a client that leaves in mid-answer does not stop the run ${verifies("R5")}`, async () => {
      const chat = openChat(clientOver(mesh.transport()));
      const openId = randomUUID();
      chat.say({ requestId: openId, action: { case: "open", value: {} } });
      const { sessionId } = await chat.answer(openId, "opened");
      const sendId = randomUUID();
      chat.say({ requestId: sendId, action: { case: "send", value: { sessionId, message: textMessage(slowly) } } });
      const { runId } = await chat.answer(sendId, "accepted");
      await chat.until((events) => events.some(isTextOf(runId)));
      chat.cut();
      const events = await readUntilEnd(client, { sessionId, runId });
      expect(endsOf(events, runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    });

    test(`WaitRun gives the run when it has ended, and as it is when time is up ${verifies("R2")}`, async () => {
      const { runId } = await say(client, slowly);
      const early = await client.gateway.waitRun({ runId, timeoutMs: 50 });
      expect(early.run?.state).not.toBe(RunState.FINISHED);
      const { run } = await client.gateway.waitRun({ runId, timeoutMs: 20_000 });
      expect(run).toMatchObject({ runId, state: RunState.FINISHED, status: RunStatus.COMPLETED, attempt: 1 });
    });

    test(`a request that the model API refuses ends the run with its reason ${verifies("R2")}`, async () => {
      fake.setScript((body) =>
        JSON.stringify(body).includes("overload me")
          ? { kind: "error", status: 400, message: "no" }
          : answerAsAsked(body),
      );
      const { sessionId, runId } = await say(client, "overload me");
      const events = await readUntilEnd(client, { sessionId, runId });
      fake.setScript(answerAsAsked);
      const [end, ...more] = endsOf(events, runId);
      expect(more).toEqual([]);
      expect(end?.status).toBe(RunStatus.FAILED);
      expect(end?.failure?.reason).toBe(ErrorReason.MODEL_REFUSED);
    });
  });
});
