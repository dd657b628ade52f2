/** The same conversations in one process and in four: what a client is promised of its stream and of its runs. */
import { randomUUID } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { Priority } from "../../gen/atoll/content/v1/message_pb.ts";
import { ErrorReason } from "../../gen/atoll/error/v1/error_reason_pb.ts";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import { QueueMode, RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { RunState } from "../../gen/atoll/session/v1/run_pb.ts";
import { SessionOrder } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { createFold, resumeFold, applyEvents } from "../../web/client/fold-events.ts";
import { verifies } from "../requirements.ts";
import { type FakeAnthropic, startFakeAnthropic } from "../support/fake-anthropic/start-fake-anthropic.ts";
import { type MeshProcess, startMeshProcess, topologies } from "../support/mesh-process.ts";
import { openChat } from "./chat.fixture.ts";
import {
  answerOf,
  bytesOf,
  clientOver,
  endsOf,
  eventually,
  expectDense,
  factsOf,
  fold,
  inSession,
  isTextOf,
  kindsOf,
  type MeshClient,
  readLog,
  readUntil,
  readUntilEnd,
  refusalOf,
  runOf,
  say,
  textMessage,
} from "./mesh-client.fixture.ts";
import { answerAsAsked, countAsked } from "./scripted-model.fixture.ts";

const question = "which files are in the workspace, and what does notes.md say?";
/** An answer of about a second. */
const slowly = "tokens=100 delay=10";

describe.each(topologies)("a conversation, %s", (topology) => {
  let fake: FakeAnthropic;
  let mesh: MeshProcess;
  let client: MeshClient;

  beforeAll(async () => {
    fake = await startFakeAnthropic({ script: answerAsAsked });
    mesh = await startMeshProcess({ topology, env: { ANTHROPIC_API_KEY: "test", ANTHROPIC_BASE_URL: fake.url } });
    client = clientOver(mesh.transport());
  });

  afterAll(async () => {
    await mesh?.stop();
    await fake?.close();
  });

  /** A test that fails shows what the mesh had to say. */
  function showLogOnFailure(): void {
    onTestFailed(() => {
      process.stderr.write(`${mesh.log()}\n`);
    });
  }

  /** A finished run of the offline model that used real tools. */
  async function converse(): Promise<{ sessionId: string; runId: string; events: Event[] }> {
    const { sessionId, runId } = await say(client, question, { options: { model: "offline" } });
    return { sessionId, runId, events: await readUntilEnd(client, { sessionId, runId }) };
  }

  test(`a message uses a real tool through all four services, and its events come in order ${verifies("S1", "R2", "L5")}`, async () => {
    showLogOnFailure();
    const { runId, events } = await converse();
    expectDense(events);
    expect(kindsOf(events)).toEqual([
      "messageReceived",
      "sessionUpdated",
      "runQueued",
      "runStarted",
      "phaseChanged",
      "stepStarted",
      "textDelta",
      "blockCompleted",
      "toolCallProposed",
      "usage",
      "phaseChanged",
      "toolCallStarted",
      "toolCallFinished",
      "phaseChanged",
      "stepStarted",
      "textDelta",
      "blockCompleted",
      "usage",
      "runFinished",
    ]);
    expect(endsOf(events, runId).map(({ status, steps }) => ({ status, steps }))).toEqual([
      { status: RunStatus.COMPLETED, steps: 2 },
    ]);
    // The fold holds every block against its length and checksum.
    const run = runOf(fold(events), runId);
    const blocks = run.items.filter((item) => item.kind === "block");
    expect(blocks.map(({ complete }) => complete)).toEqual([true, true]);
    expect(blocks.at(-1)?.text).toContain("Buy a boat.");
    const calls = run.items.filter((item) => item.kind === "call");
    expect(calls.map(({ tool, state }) => [tool, state.kind === "finished" && state.outcome])).toEqual([
      ["filesystem.list_directory", ToolOutcome.SUCCEEDED],
      ["filesystem.read_text_file", ToolOutcome.SUCCEEDED],
    ]);
  });

  test(`an answer of the model API arrives whole, and the API is asked once ${verifies("S3")}`, async () => {
    showLogOnFailure();
    const words = `tokens=300 delay=1 ${randomUUID()}`;
    const { sessionId, runId } = await say(client, words);
    const events = await readUntilEnd(client, { sessionId, runId });
    expectDense(events);
    const answer = answerOf(fold(events), runId);
    expect(answer.split(" ").length).toBeGreaterThan(250);
    expect(countAsked(fake.requests(), words)).toBe(1);
  });

  test(`a subscription after any seq gives exactly the rest ${verifies("S2")}`, async () => {
    showLogOnFailure();
    const { sessionId, runId, events } = await converse();
    const log = await readLog(client, sessionId);
    expect(bytesOf(events)).toEqual(bytesOf(log));
    for (const [index, { seq }] of log.entries()) {
      const rest = await readUntilEnd(client, { sessionId, runId, afterSeq: seq });
      expectDense(rest, seq);
      expect(bytesOf(rest), `after ${seq}`).toEqual(bytesOf(log.slice(index + 1)));
      const page = await client.session.listEvents({ sessionId, cursor: { afterSeq: seq } });
      expect(bytesOf(page.events), `after ${seq}`).toEqual(bytesOf(log.slice(index + 1)));
    }
  });

  test(`a reader that left in mid-answer resumes from its cursor and folds to the same conversation ${verifies("S2")}`, async () => {
    showLogOnFailure();
    const { sessionId, runId } = await say(client, slowly);
    let texts = 0;
    const seen = await readUntil(client, sessionId, (event) => isTextOf(runId)(event) && ++texts === 5);
    const cursor = seen.at(-1)?.seq ?? 0n;
    const rest = await readUntilEnd(client, { sessionId, runId, afterSeq: cursor });
    expectDense([...seen, ...rest]);
    const resumed = applyEvents(resumeFold(applyEvents(createFold(), seen)), rest);
    expect(answerOf(resumed, runId)).toBe(answerOf(fold(await readLog(client, sessionId)), runId));
  });

  test(`two subscribers see the same events, from whatever moment they join ${verifies("S1", "S6")}`, async () => {
    showLogOnFailure();
    const { sessionId, runId } = await say(client, slowly);
    const early = readUntilEnd(client, { sessionId, runId });
    await readUntil(client, sessionId, isTextOf(runId));
    const late = readUntilEnd(clientOver(mesh.transport()), { sessionId, runId });
    const log = (await Promise.all([early, late])).map(bytesOf);
    expect(log[0]).toEqual(log[1]);
    expect(log[0]).toEqual(bytesOf(await readLog(client, sessionId)));
  });

  test(`a filter hides bodies behind Omitted ranges and the stream stays dense ${verifies("S1", "S6")}`, async () => {
    showLogOnFailure();
    const { sessionId, runId, events } = await converse();
    const read = async (filter: { include?: string[]; exclude?: string[] }): Promise<Event[]> => {
      const filtered: Event[] = [];
      for await (const response of client.gateway.subscribe({ sessionId, untilRunId: runId, filter })) {
        filtered.push(...response.events);
      }
      return filtered;
    };
    const without = await read({ exclude: ["text_delta", "usage"] });
    expectDense(without);
    expect(without.at(-1)?.seq).toBe(events.at(-1)?.seq);
    expect(kindsOf(without)).not.toContain("textDelta");
    expect(kindsOf(without)).not.toContain("usage");
    const shown = without.filter(({ body }) => body.case !== "omitted");
    expect(bytesOf(shown)).toEqual(
      bytesOf(events.filter(({ body }) => body.case !== "textDelta" && body.case !== "usage")),
    );
    const only = await read({ include: ["run_finished"] });
    expectDense(only);
    expect(kindsOf(only)).toEqual(["omitted", "runFinished"]);
    const hidden = only.flatMap(({ body }) => (body.case === "omitted" ? [Number(body.value.count)] : []));
    expect(hidden.reduce((sum, count) => sum + count, 0)).toBe(events.length - 1);
  });

  test(`an event with a body that the reader does not know keeps its place ${verifies("S7")}`, async () => {
    showLogOnFailure();
    const { sessionId, runId, events } = await converse();
    // What a newer mesh would send: the same places, bodies of a kind that this reader has never heard of.
    const newer = events.map((event) => (event.body.case === "usage" ? { ...event, body: { case: undefined } as const } : event));
    const folded = fold(newer);
    expect(folded.seq).toBe(Number(events.at(-1)?.seq));
    expect(answerOf(folded, runId)).toBe(answerOf(fold(await readLog(client, sessionId)), runId));
  });

  describe("Chat", () => {
    test(`opens, sends, hears everything, and refuses a bad frame without ending ${verifies("S1", "R1")}`, async () => {
      showLogOnFailure();
      const chat = openChat(client);
      const openId = randomUUID();
      chat.say({ requestId: openId, action: { case: "open", value: {} } });
      const { sessionId } = await chat.answer(openId, "opened");
      const send = { sessionId, message: textMessage("tokens=40 delay=2") };
      const sendId = randomUUID();
      chat.say({ requestId: sendId, action: { case: "send", value: send } });
      const first = await chat.answer(sendId, "accepted");
      const elsewhere = { ...send, sessionId: "ses_00000000000000000000000000" };
      chat.say({ requestId: "wrong", action: { case: "send", value: elsewhere } });
      expect(await chat.answer("wrong", "error")).toMatchObject({ reason: "SESSION_NOT_FOUND" });
      await chat.until((events) => endsOf(events, first.runId).length > 0);
      // The same frame again: the same answer, no second run.
      chat.say({ requestId: sendId, action: { case: "send", value: send } });
      expect(await chat.answer(sendId, "accepted")).toEqual(first);
      chat.say({ requestId: "open-again", action: { case: "open", value: { session: { case: "sessionId", value: sessionId } } } });
      expect(await chat.answer("open-again", "error")).toMatchObject({ reason: "FIELD_INVALID", fieldPaths: ["open.session_id"] });
      chat.say({ requestId: "close", action: { case: "close", value: { sessionId } } });
      await chat.answer("close", "accepted");
      await chat.leave();
      expectDense(chat.events);
      expect(bytesOf(chat.events)).toEqual(bytesOf(await readLog(client, sessionId)));
    });

    test(`cancels a run, and steering is refused by name ${verifies("R2")}`, async () => {
      showLogOnFailure();
      const chat = openChat(client);
      const openId = randomUUID();
      const key = `agent:main:${randomUUID()}`;
      chat.say({ requestId: openId, action: { case: "open", value: { session: { case: "sessionKey", value: key } } } });
      const { sessionId } = await chat.answer(openId, "opened");
      const sendId = randomUUID();
      chat.say({ requestId: sendId, action: { case: "send", value: { sessionId, message: textMessage("tokens=1000 delay=10") } } });
      const { runId } = await chat.answer(sendId, "accepted");
      await chat.until((events) => events.some(isTextOf(runId)));
      chat.say({ requestId: "steer", action: { case: "steer", value: { sessionId, message: textMessage("left") } } });
      expect(await chat.answer("steer", "error")).toMatchObject({ reason: "METHOD_NOT_SERVED" });
      const cancelId = randomUUID();
      chat.say({ requestId: cancelId, action: { case: "cancel", value: { runId, reason: "enough" } } });
      expect(await chat.answer(cancelId, "accepted")).toMatchObject({ runId, sessionId });
      await chat.until((events) => endsOf(events, runId).length > 0);
      expect(endsOf(chat.events, runId)).toMatchObject([{ status: RunStatus.CANCELLED, cancelledBy: "user:local" }]);
      await chat.leave();
    });
  });

  describe("requests", () => {
    test(`the same request_id gets the first answer and starts one run; another body is refused ${verifies("R1")}`, async () => {
      showLogOnFailure();
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
      showLogOnFailure();
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
      showLogOnFailure();
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
      showLogOnFailure();
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

    test(`if_head_seq refuses a message when something new stands in the log ${verifies("R1")}`, async () => {
      showLogOnFailure();
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
      showLogOnFailure();
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

    test(`a waiting run that is cancelled never starts ${verifies("R2", "R3")}`, async () => {
      showLogOnFailure();
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
      showLogOnFailure();
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
      showLogOnFailure();
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
      showLogOnFailure();
      const { runId } = await say(client, slowly);
      const early = await client.gateway.waitRun({ runId, timeoutMs: 50 });
      expect(early.run?.state).not.toBe(RunState.FINISHED);
      const { run } = await client.gateway.waitRun({ runId, timeoutMs: 20_000 });
      expect(run).toMatchObject({ runId, state: RunState.FINISHED, status: RunStatus.COMPLETED, attempt: 1 });
    });

    test(`a request that the model API refuses ends the run with its reason ${verifies("R2")}`, async () => {
      showLogOnFailure();
      fake.setScript((body) => (JSON.stringify(body).includes("overload me") ? { kind: "error", status: 400, message: "no" } : answerAsAsked(body)));
      const { sessionId, runId } = await say(client, "overload me");
      const events = await readUntilEnd(client, { sessionId, runId });
      fake.setScript(answerAsAsked);
      const [end, ...more] = endsOf(events, runId);
      expect(more).toEqual([]);
      expect(end?.status).toBe(RunStatus.FAILED);
      expect(end?.failure?.reason).toBe(ErrorReason.MODEL_REFUSED);
    });
  });

  test(`AgentService.Run runs the loop alone, numbered from 1 ${verifies("S1", "R2")}`, async () => {
    showLogOnFailure();
    const hold = Promise.withResolvers<void>();
    async function* requests() {
      yield { frame: { case: "start" as const, value: { message: textMessage(question), options: { model: "offline" } } } };
      await hold.promise;
    }
    const events: Event[] = [];
    for await (const response of client.agent.run(requests())) events.push(...response.events);
    hold.resolve();
    expectDense(events);
    const runId = events.at(-1)?.runId ?? "";
    expect(endsOf(events, runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    expect(answerOf(fold(events), runId)).toContain("Buy a boat.");
    const kinds = kindsOf(events);
    expect(kinds.indexOf("toolCallProposed")).toBeLessThan(kinds.indexOf("toolCallStarted"));
    expect(kinds.indexOf("toolCallStarted")).toBeLessThan(kinds.indexOf("toolCallFinished"));
  });

  test(`ListSessions pages through every session once ${verifies("L7")}`, async () => {
    showLogOnFailure();
    const mark = `paged-${randomUUID().slice(0, 8)}`;
    const made: string[] = [];
    for (let each = 0; each < 7; each++) {
      const { session } = await client.session.createSession({ requestId: randomUUID(), labels: { mark } });
      made.push(session?.sessionId ?? "");
    }
    const pages: string[][] = [];
    let pageToken = "";
    do {
      const page = await client.session.listSessions({ pageSize: 3, pageToken, order: SessionOrder.CREATED_ASC });
      expect(page.sessions.length).toBeLessThanOrEqual(3);
      pages.push(page.sessions.map(({ sessionId }) => sessionId));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    const listed = pages.flat();
    expect(new Set(listed).size).toBe(listed.length);
    expect(listed.filter((id) => made.includes(id))).toEqual(made);
    expect(await refusalOf(client.session.listSessions({ pageToken: "not-a-token" }))).toMatchObject({
      code: "InvalidArgument",
      reason: "FIELD_INVALID",
      fields: ["page_token"],
    });
  });

  test(`health and reflection are served without a token ${verifies("L6")}`, async () => {
    showLogOnFailure();
    const open = mesh.anonymousTransport();
    const health = createClient(Health, open);
    for (const service of ["", "atoll.gateway.v1.GatewayService", "atoll.session.v1.SessionService"]) {
      expect((await health.check({ service })).status, service).toBe(HealthCheckResponse_ServingStatus.SERVING);
    }
    expect((await health.check({ service: "no.such.Service" }).catch(factsOf))).toMatchObject({ code: "NotFound" });
    const reflection = createClient(ServerReflection, open);
    async function* requests() {
      yield { messageRequest: { case: "listServices" as const, value: "" } };
      yield { messageRequest: { case: "fileContainingSymbol" as const, value: "atoll.gateway.v1.GatewayService" } };
    }
    const answers = [];
    for await (const answer of reflection.serverReflectionInfo(requests())) answers.push(answer.messageResponse);
    const services = answers.flatMap((answer) =>
      answer.case === "listServicesResponse" ? answer.value.service.map(({ name }) => name) : [],
    );
    expect(services).toEqual(
      expect.arrayContaining([
        "atoll.gateway.v1.GatewayService",
        "atoll.session.v1.SessionService",
        "atoll.agent.v1.AgentService",
        "atoll.tool.v1.ToolRouterService",
        "atoll.admin.v1.AdminService",
        "grpc.health.v1.Health",
      ]),
    );
    expect(answers.at(-1)?.case).toBe("fileDescriptorResponse");
  });
});
