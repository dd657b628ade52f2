/** The same conversations in one process and in four: what a client is promised of its stream. */
import { randomUUID } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ErrorReason } from "../../gen/atoll/error/v1/error_reason_pb.ts";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { applyEvents, createFold, resumeFold } from "../../web/client/fold/fold-events.ts";
import { verifies } from "../requirements.ts";
import type { FakeAnthropic } from "../support/fake-anthropic/start-fake-anthropic.ts";
import { type MeshProcess, topologies } from "../support/mesh-process.ts";
import { openChat } from "./chat.fixture.ts";
import {
  answerOf,
  bytesOf,
  clientOver,
  endsOf,
  expectDense,
  factsOf,
  fold,
  isTextOf,
  kindsOf,
  type MeshClient,
  readLog,
  readUntil,
  readUntilEnd,
  runOf,
  say,
  textMessage,
} from "./mesh-client.fixture.ts";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "./scripted-mesh.fixture.ts";
import { countAsked } from "./scripted-model.fixture.ts";

const question = "which files are in the workspace, and what does notes.md say?";
/** An answer of about a second. */
const slowly = "tokens=100 delay=10";

describe.each(topologies)("a conversation, %s", (topology) => {
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

  test(`a message uses a real tool through all four services, and its events come in order ${verifies("S1", "R2", "L5")}`, async () => {
    const { runId, events } = await converse();
    expectDense(events);
    const kinds = kindsOf(events);
    // The two calls of the step are made side by side: the second may begin before or after the first has ended.
    const [from, through] = [kinds.indexOf("toolCallStarted"), kinds.lastIndexOf("toolCallFinished")];
    expect(new Set(kinds.slice(from, through + 1))).toEqual(new Set(["toolCallStarted", "toolCallFinished"]));
    for (const { body, seq } of events) {
      if (body.case !== "toolCallFinished") continue;
      const { callId } = body.value;
      const began = events.find((event) => event.body.case === "toolCallStarted" && event.body.value.callId === callId);
      expect(began?.seq, `the beginning of ${callId}`).toBeLessThan(seq);
    }
    expect([...kinds.slice(0, from), ...kinds.slice(through + 1)]).toEqual([
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
    const words = `tokens=300 delay=1 ${randomUUID()}`;
    const { sessionId, runId } = await say(client, words);
    const events = await readUntilEnd(client, { sessionId, runId });
    expectDense(events);
    const answer = answerOf(fold(events), runId);
    expect(answer.split(" ").length).toBeGreaterThan(250);
    expect(countAsked(fake.requests(), words)).toBe(1);
  });

  test(`a subscription after any seq gives exactly the rest ${verifies("S2")}`, async () => {
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
    const { sessionId, runId } = await say(client, slowly);
    const early = readUntilEnd(client, { sessionId, runId });
    await readUntil(client, sessionId, isTextOf(runId));
    const late = readUntilEnd(clientOver(mesh.transport()), { sessionId, runId });
    const log = (await Promise.all([early, late])).map(bytesOf);
    expect(log[0]).toEqual(log[1]);
    expect(log[0]).toEqual(bytesOf(await readLog(client, sessionId)));
  });

  test(`a filter hides bodies behind Omitted ranges and the stream stays dense ${verifies("S1", "S6")}`, async () => {
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
    const { sessionId, runId, events } = await converse();
    // What a newer mesh would send: the same places, bodies of a kind that this reader has never heard of.
    const newer = events.map((event) =>
      event.body.case === "usage" ? { ...event, body: { case: undefined } as const } : event,
    );
    const folded = fold(newer);
    expect(folded.seq).toBe(Number(events.at(-1)?.seq));
    expect(answerOf(folded, runId)).toBe(answerOf(fold(await readLog(client, sessionId)), runId));
  });

  describe("Chat", () => {
    test(`opens, sends, hears everything, and refuses a bad frame without ending ${verifies("S1", "R1")}`, async () => {
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
      expect(await chat.answer("wrong", "error")).toMatchObject({ reason: ErrorReason.SESSION_NOT_FOUND });
      await chat.until((events) => endsOf(events, first.runId).length > 0);
      // The same frame again: the same answer, no second run.
      chat.say({ requestId: sendId, action: { case: "send", value: send } });
      expect(await chat.answer(sendId, "accepted")).toEqual(first);
      chat.say({
        requestId: "open-again",
        action: { case: "open", value: { session: { case: "sessionId", value: sessionId } } },
      });
      expect(await chat.answer("open-again", "error")).toMatchObject({
        reason: ErrorReason.FIELD_INVALID,
        fieldPaths: ["open.session_id"],
      });
      chat.say({ requestId: "close", action: { case: "close", value: { sessionId } } });
      await chat.answer("close", "accepted");
      await chat.leave();
      expectDense(chat.events);
      expect(bytesOf(chat.events)).toEqual(bytesOf(await readLog(client, sessionId)));
    });

    test(`steers a run and cancels it, and what it has not read gets a run of its own ${verifies("R2", "R3")}`, async () => {
      const chat = openChat(client);
      const openId = randomUUID();
      const key = `agent:main:${randomUUID()}`;
      chat.say({ requestId: openId, action: { case: "open", value: { session: { case: "sessionKey", value: key } } } });
      const { sessionId } = await chat.answer(openId, "opened");
      const sendId = randomUUID();
      chat.say({
        requestId: sendId,
        action: { case: "send", value: { sessionId, message: textMessage("tokens=1000 delay=10") } },
      });
      const { runId } = await chat.answer(sendId, "accepted");
      await chat.until((events) => events.some(isTextOf(runId)));
      const steerId = randomUUID();
      chat.say({ requestId: steerId, action: { case: "steer", value: { sessionId, message: textMessage("left") } } });
      const steer = await chat.answer(steerId, "accepted");
      expect(steer).toMatchObject({ runId, sessionId });
      const cancelId = randomUUID();
      chat.say({ requestId: cancelId, action: { case: "cancel", value: { runId, reason: "enough" } } });
      expect(await chat.answer(cancelId, "accepted")).toMatchObject({ runId, sessionId });
      await chat.until((events) => endsOf(events, runId).length > 0);
      expect(endsOf(chat.events, runId)).toMatchObject([{ status: RunStatus.CANCELLED, cancelledBy: "user:local" }]);
      const isForSteer = ({ body }: Event) =>
        body.case === "runQueued" && body.value.messageIds.includes(steer.messageId);
      await chat.until((events) => events.some(isForSteer));
      const nextId = chat.events.find(isForSteer)?.runId ?? "";
      await chat.until((events) => endsOf(events, nextId).length > 0);
      expect(endsOf(chat.events, nextId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
      chat.say({ requestId: "close", action: { case: "close", value: { sessionId } } });
      await chat.answer("close", "accepted");
      await chat.leave();
    });
  });

  test(`health and reflection are served without a token ${verifies("L6")}`, async () => {
    const open = mesh.anonymousTransport();
    const health = createClient(Health, open);
    for (const service of ["", "atoll.gateway.v1.GatewayService", "atoll.session.v1.SessionService"]) {
      expect((await health.check({ service })).status, service).toBe(HealthCheckResponse_ServingStatus.SERVING);
    }
    expect(await health.check({ service: "no.such.Service" }).catch(factsOf)).toMatchObject({ code: "NotFound" });
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
