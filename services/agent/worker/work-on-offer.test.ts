import { create, fromBinary } from "@bufbuild/protobuf";
import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { RawRunOfferSchema } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import { BatchAcceptedSchema } from "../../../gen/atoll/session/v1/attach_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { systemClock } from "../../kernel/clock.ts";
import { createLog } from "../../kernel/log.ts";
import { RunToken } from "../../kernel/rpc/hops/run-token.ts";
import { agent, obligingRouter, say, scriptedModels } from "../agent.fixture.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { RunCancelled, RunLost } from "../loop/run-ending.ts";
import { Steering } from "../loop/steering.ts";
import { SessionMemory } from "../memory/session-memory.ts";
import { ToolList } from "../tools/tool-list.ts";
import { RunOutlet } from "./run-outlet.ts";
import { workOnOffer } from "./work-on-offer.ts";

/** Works on a run whose log is never read to its end; the signal aborts while it is read. */
async function stopWhileReading(reason: Error) {
  const control = new AbortController();
  const session = {
    listEvents: (_: unknown, { signal }: CallOptions) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener("abort", () => reject(new ConnectError("canceled", Code.Canceled)), { once: true });
        setImmediate(() => control.abort(reason));
      }),
  } as unknown as AgentDeps["session"];
  const deps: AgentDeps = {
    session,
    toolRouter: obligingRouter().handlers as never,
    models: scriptedModels([say("never")]).models,
    agents: new Map([["main", agent]]),
    defaultAgent: "main",
    clock: systemClock,
    log: createLog({ level: "error", format: "json", destination: { write: () => undefined } }),
    deltaWindowMs: 0,
    cachedSessions: 1,
  };
  const events: Event[] = [];
  const outlet: RunOutlet = new RunOutlet({ sessionId: "ses_1", runId: "run_1", epoch: 1 }, ({ batchNo, ...batch }) => {
    events.push(...batch.events.map((event) => fromBinary(EventSchema, event)));
    outlet.accepted(create(BatchAcceptedSchema, { batchNo }));
  });
  const offer = create(RawRunOfferSchema, {
    run: { runId: "run_1", sessionId: "ses_1", agentId: "main", epoch: 1n, attempt: 1 },
    session: { sessionId: "ses_1", logId: "log_1", headSeq: 3n },
    agent: { agentId: "main" },
  });
  const memory = new SessionMemory(session, { maxSessions: 1, maxRuns: 1 });
  const worker = { deps, tools: new ToolList(deps), memory, left: new AbortController().signal };
  const parts = { outlet, steering: new Steering(), runToken: new RunToken("token"), signal: control.signal };
  const end = await workOnOffer(worker, offer, parts);
  return { end, events };
}

describe(`a run that is stopped while its log is read ${verifies("R5")}`, () => {
  it("ends at once as cancelled", async () => {
    const { end, events } = await stopWhileReading(new RunCancelled("user:ada"));
    expect(end).toEqual({ kind: "ended" });
    expect(events.map(({ body }) => body)).toMatchObject([
      { case: "runFinished", value: { status: RunStatus.CANCELLED, cancelledBy: "user:ada" } },
    ]);
  });

  it("is left to whoever has it now", async () => {
    const { end, events } = await stopWhileReading(new RunLost("offered again"));
    expect(end).toEqual({ kind: "lost" });
    expect(events).toEqual([]);
  });
});
