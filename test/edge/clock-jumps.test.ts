/** A clock that jumps by days, under a real split mesh, ends no run. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { endsOf, eventually, type MeshClient, readLog, readUntilEnd, say } from "../e2e/mesh-client.fixture.ts";
import { showLogOnFailure } from "../e2e/scripted-mesh.fixture.ts";
import { verifies } from "../requirements.ts";
import { type JumpingMesh, startJumpingMesh } from "./jumping-mesh.fixture.ts";

const dayMs = 86_400_000;

let scripted: JumpingMesh;
let client: MeshClient;

beforeAll(async () => {
  scripted = await startJumpingMesh();
  ({ client } = scripted);
}, 240_000);

afterAll(() => scripted?.stop());

beforeEach(() => showLogOnFailure(scripted.mesh));

describe(`a clock that jumps by days ${verifies("FE5")}`, () => {
  const jumps = [
    ["40 days ahead", 40 * dayMs],
    ["40 days back again", 0],
    ["3 days back", -3 * dayMs],
    ["and ahead again", 0],
  ] as const;

  test.each(jumps)("during a tool call ends no run: %s", async (_case, aheadMs) => {
    const { sessionId, runId } = await say(client, 'call probe.slow {"ms":2500}');
    await eventually("the call has started", async () =>
      (await readLog(client, sessionId)).find(({ body }) => body.case === "toolCallStarted"),
    );
    scripted.clock.set(aheadMs);
    const events = await readUntilEnd(client, { sessionId, runId });
    expect(endsOf(events, runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    expect(events.flatMap(({ body }) => (body.case === "toolCallFinished" ? [body.value.outcome] : []))).toEqual([
      ToolOutcome.SUCCEEDED,
    ]);
  });

  test.each(jumps)("during a model call, before a tool is called, ends no run: %s", async (_case, aheadMs) => {
    const { sessionId, runId } = await say(client, `call probe.echo {"text":"after the jump"} delay=400`);
    await eventually("the model was asked", async () =>
      (await readLog(client, sessionId)).find(({ body }) => body.case === "stepStarted"),
    );
    scripted.clock.set(aheadMs);
    const events = await readUntilEnd(client, { sessionId, runId });
    expect(endsOf(events, runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    expect(events.flatMap(({ body }) => (body.case === "toolCallFinished" ? [body.value.outcome] : []))).toEqual([
      ToolOutcome.SUCCEEDED,
    ]);
  });
});
