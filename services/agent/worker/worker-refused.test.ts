import { fromBinary } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolRouterService } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
  workerToken,
} from "../../../test/support/session-service.ts";
import { systemClock } from "../../kernel/clock.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { createLog } from "../../kernel/log.ts";
import { RawSessionService } from "../../kernel/rpc/hops/raw-session-service.ts";
import { agent, obligingRouter, scriptedModels, stop, text, toolUse } from "../agent.fixture.ts";
import type { AgentDeps } from "../agent-deps.ts";
import type { ModelPart, ModelRequest } from "../models/model.ts";
import { createAgent } from "../register.ts";

type Session = Client<typeof RawSessionService>;

const poison = "poison";
const isPoisoned = (event: Uint8Array): boolean => Buffer.from(event).includes(poison);

/** The service as a worker with a fault reaches it: each event with the word is sent as `spoil` makes it. */
function spoiled(client: Session, spoil: (event: Uint8Array) => Uint8Array): Session & { attaches(): number } {
  let attaches = 0;
  const attach: Session["attach"] = (requests, options) => {
    attaches += 1;
    const spoiling = (async function* () {
      for await (const request of requests) {
        const { frame } = request;
        if (frame?.case === "batch") {
          const events = (frame.value.events ?? []).map((event) => (isPoisoned(event) ? spoil(event) : event));
          yield { frame: { case: "batch" as const, value: { ...frame.value, events } } } as typeof request;
        } else yield request;
      }
    })();
    return client.attach(spoiling, options);
  };
  return Object.assign(Object.create(client) as Session, { attach, attaches: () => attaches });
}

async function startWorker(
  session: Session,
  model: (request: ModelRequest) => Iterable<ModelPart> | AsyncIterable<ModelPart>,
) {
  const { models, requests } = scriptedModels(Array.from({ length: 20 }, () => model));
  const lines: string[] = [];
  const router = createRouterTransport((routes) => routes.service(ToolRouterService, obligingRouter().handlers));
  const deps: AgentDeps = {
    session,
    toolRouter: createClient(ToolRouterService, router),
    models,
    agents: new Map([["main", agent]]),
    defaultAgent: "main",
    clock: systemClock,
    log: createLog({ level: "debug", format: "json", destination: { write: (line) => void lines.push(line) } }),
    deltaWindowMs: 0,
    cachedSessions: 256,
  };
  const { worker } = createAgent(deps, { workerId: "wrk_spoiled", capacity: 8, workerToken, version: "test" });
  worker.start();
  onTestFinished(() => worker.close());
  await worker.attached();
  return { requests, lines };
}

async function finished({ client }: RunningSession, runId: string) {
  const { run } = await client.waitRun({ runId, timeoutMs: 20_000 }, as(person));
  return run;
}

async function eventsOf({ client }: RunningSession, sessionId: string) {
  const { events } = await client.listEvents({ sessionId, pageSize: 1_000 }, as(person));
  return events.map((bytes) => fromBinary(EventSchema, bytes));
}

/** What the session's newest message says. */
const asked = ({ messages }: ModelRequest): string => JSON.stringify(messages.at(-1));

const spoilings: [string, (event: Uint8Array) => Uint8Array, ErrorReason][] = [
  ["is no message", () => Uint8Array.of(255), ErrorReason.EVENT_NOT_ALLOWED],
  ["has a server's field", (event) => Uint8Array.from([...event, 0x10, 1]), ErrorReason.EVENT_NOT_ALLOWED],
  ["is of another run", (event) => Uint8Array.from([...event, 0x22, 1, 0x61]), ErrorReason.EVENT_NOT_ALLOWED],
  ["is larger than a frame may be", () => new Uint8Array(5_000_000), ErrorReason.MESSAGE_TOO_LARGE],
];

describe.each(["inMemory", "remote"] as const)(
  `an event that the service does not take, %s ${verifies("FL1", "F1", "R2")}`,
  (way) => {
    it.each(spoilings)("because it %s ends its run with a reason, and no other", async (_why, spoil, reason) => {
      const session = await startSessionService();
      const client = spoiled(createClient(RawSessionService, session[way]), spoil);
      const gate = Promise.withResolvers<void>();
      await startWorker(client, async function* (request) {
        if (asked(request).includes("bad")) yield* text(`${poison} and more`);
        else {
          yield { kind: "block-start", index: 0, block: "text" };
          yield { kind: "text", index: 0, text: "before " };
          await gate.promise;
          yield { kind: "text", index: 0, text: "after" };
          yield { kind: "block-stop", index: 0, block: "text" };
        }
        yield* stop();
      });
      const good = [await sendWords(session, "good one"), await sendWords(session, "good two")];
      const bad = await sendWords(session, "bad");
      const ended = await finished(session, bad.runId);
      expect(ended).toMatchObject({ status: RunStatus.FAILED, attempt: 1, failure: { reason } });
      expect(ended?.failure?.message).toContain("could not be stored");
      gate.resolve();
      for (const { runId } of good) {
        expect(await finished(session, runId)).toMatchObject({ status: RunStatus.COMPLETED, attempt: 1 });
      }
      const words = (await eventsOf(session, good[0]?.sessionId ?? "")).flatMap(({ body }) =>
        body.case === "textDelta" ? [body.value.text] : [],
      );
      expect(words.join("")).toBe("before after");
      expect((await eventsOf(session, bad.sessionId)).filter(({ body }) => body.case === "runFinished")).toHaveLength(
        1,
      );
      // The session of the run goes on.
      const next = await sendWords(session, "good again", { sessionId: bad.sessionId });
      expect(await finished(session, next.runId)).toMatchObject({ status: RunStatus.COMPLETED });
      expect(client.attaches()).toBeLessThanOrEqual(4);
    });
  },
);

describe(`an answer too large for a log ${verifies("FL1", "FW6", "FL2")}`, () => {
  const deep = (levels: number): Record<string, never> =>
    JSON.parse(`${'{"a":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`);

  it.each<[string, () => Iterable<ModelPart>, string]>([
    [
      "arguments of 1.2 million two-byte characters",
      () => toolUse("files.read", { text: "ä".repeat(1_200_000) }),
      "are longer than",
    ],
    [
      "arguments of 400 000 values",
      () => toolUse("files.read", { n: Array.from({ length: 400_000 }, () => 1) as never }),
      "have more than",
    ],
    ["arguments of 60 levels", () => toolUse("files.read", deep(60)), "nested deeper"],
    ["arguments of 31 levels", () => toolUse("files.read", deep(31)), "nested deeper"],
    ["1e400", () => toolUse("files.read", { n: Number.POSITIVE_INFINITY as never }), "too large"],
    ["NaN", () => toolUse("files.read", { n: [Number.NaN] as never }), "too large"],
    ["half a surrogate pair", () => toolUse("files.read", { text: "\ud83d" }), "surrogate"],
    ["half a surrogate pair in a key", () => toolUse("files.read", { "a\udc00": "" }), "surrogate"],
  ])("%s are refused to the model as that call's error, once, and stored nowhere", async (_what, call, problem) => {
    const session = await startSessionService();
    let calls = 0;
    const { requests } = await startWorker(createClient(RawSessionService, session.remote), function* () {
      calls += 1;
      yield* calls === 1
        ? [...call(), ...toolUse("web.get", { ok: "yes" }, 2), ...stop("tool_use")]
        : [...text("done"), ...stop()];
    });
    const { runId, sessionId } = await sendWords(session, "go");
    expect(await finished(session, runId)).toMatchObject({ status: RunStatus.COMPLETED, attempt: 1 });
    const outcomes = (await eventsOf(session, sessionId)).flatMap(({ body }) =>
      body.case === "toolCallFinished" ? [body.value] : [],
    );
    expect(outcomes.map(({ reason }) => reason)).toEqual([ErrorReason.TOOL_ARGUMENTS_INVALID, ErrorReason.UNSPECIFIED]);
    expect(JSON.stringify(requests[1]?.messages)).toContain(problem);
    expect(requests).toHaveLength(2);
    expect(JSON.stringify(requests[1]?.messages).length).toBeLessThan(5_000);
  });

  it("arguments of 30 levels are stored, given to the router, and read back", async () => {
    const session = await startSessionService();
    let calls = 0;
    const { requests } = await startWorker(createClient(RawSessionService, session.remote), function* () {
      calls += 1;
      yield* calls === 1 ? [...toolUse("files.read", deep(30)), ...stop("tool_use")] : [...text("done"), ...stop()];
    });
    const { runId, sessionId } = await sendWords(session, "go");
    expect(await finished(session, runId)).toMatchObject({ status: RunStatus.COMPLETED });
    const proposed = (await eventsOf(session, sessionId)).find(({ body }) => body.case === "toolCallProposed");
    expect(proposed?.body.value).toMatchObject({ argumentsJson: JSON.stringify(deep(30)) });
    expect(JSON.stringify(requests[1]?.messages)).toContain("did it");
  });

  it("a delta of 3 MiB is stored in pieces", async () => {
    const session = await startSessionService();
    const words = "ä🏝".repeat(524_288);
    await startWorker(createClient(RawSessionService, session.remote), () => [...text(words), ...stop()]);
    const { runId, sessionId } = await sendWords(session, "go");
    expect(await finished(session, runId)).toMatchObject({ status: RunStatus.COMPLETED });
    let stored = "";
    let pageToken = "";
    do {
      const page = await session.client.listEvents({ sessionId, pageSize: 1_000, pageToken }, as(person));
      for (const { body } of page.events.map((bytes) => fromBinary(EventSchema, bytes))) {
        // A busy machine may have lost the lease on the way.
        if (body.case === "stepDiscarded") stored = "";
        if (body.case === "textDelta") {
          expect(Buffer.byteLength(body.value.text)).toBeLessThanOrEqual(65_536);
          stored += body.value.text;
        }
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(stored === words).toBe(true);
  });

  it("usage that is no whole number counts zero", async () => {
    const session = await startSessionService();
    const usage = { inputTokens: Number.NaN, outputTokens: 1e30, cacheReadTokens: -5, cacheWriteTokens: 2.9 };
    await startWorker(createClient(RawSessionService, session.remote), () => [
      ...text("ok"),
      { kind: "usage", ...usage },
      { kind: "stop", reason: "end", detail: "" },
    ]);
    const { runId, sessionId } = await sendWords(session, "go");
    expect(await finished(session, runId)).toMatchObject({ status: RunStatus.COMPLETED });
    const [stored] = (await eventsOf(session, sessionId)).flatMap(({ body }) =>
      body.case === "usage" ? [body.value] : [],
    );
    expect(stored).toMatchObject({ inputTokens: 0n, outputTokens: 0n, cacheReadTokens: 0n, cacheWriteTokens: 2n });
  });
});
