/** AgentService.Run in one process and in four: the loop for other backends, with a history of the caller's. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../requirements.ts";
import { topologies } from "../support/mesh-process.ts";
import {
  answerOf,
  endsOf,
  expectDense,
  factsOf,
  fold,
  kindsOf,
  type MeshClient,
  readUntilEnd,
  say,
  textMessage,
} from "./mesh-client.fixture.ts";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "./scripted-mesh.fixture.ts";

const question = "which files are in the workspace, and what does notes.md say?";

describe.each(topologies)("AgentService.Run, %s", (topology) => {
  let scripted: ScriptedMesh;
  let client: MeshClient;

  beforeAll(async () => {
    scripted = await startScriptedMesh({ topology });
    ({ client } = scripted);
  });
  afterAll(() => scripted?.stop());
  beforeEach(() => showLogOnFailure(scripted.mesh));

  test(`runs the loop alone, numbered from 1 ${verifies("S1", "R2")}`, async () => {
    const hold = Promise.withResolvers<void>();
    async function* requests() {
      yield {
        frame: { case: "start" as const, value: { message: textMessage(question), options: { model: "offline" } } },
      };
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

  test("knows of a history that comes in several frames", async () => {
    const said = await say(client, "remember the blue heron");
    const log = await readUntilEnd(client, said);
    const half = Math.ceil(log.length / 2);
    const words = `what was it? ${randomUUID()}`;
    async function* requests() {
      for (const events of [log.slice(0, half), log.slice(half)]) {
        yield { frame: { case: "history" as const, value: { events } } };
      }
      yield { frame: { case: "start" as const, value: { message: textMessage(words) } } };
    }
    const events: Event[] = [];
    for await (const response of client.agent.run(requests())) events.push(...response.events);
    expect(endsOf(events, events.at(-1)?.runId ?? "")).toMatchObject([{ status: RunStatus.COMPLETED }]);
    const [asked] = scripted.fake.requests().filter(({ body }) => JSON.stringify(body).includes(words));
    const roles = (asked?.body["messages"] as { role: string }[] | undefined)?.map(({ role }) => role);
    expect(roles).toEqual(["user", "assistant", "user"]);
    expect(JSON.stringify(asked?.body)).toContain("blue heron");
    async function* late() {
      yield* requests();
      yield { frame: { case: "history" as const, value: { events: log.slice(0, 1) } } };
    }
    const reading = (async () => {
      for await (const _ of client.agent.run(late()));
    })();
    expect(await reading.catch(factsOf)).toMatchObject({ code: "InvalidArgument", reason: "FIELD_INVALID" });
  });
});
