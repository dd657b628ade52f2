/**
 * Whatever comes from outside costs no more than itself (F1–F3): random lists of tools, answers of tools and answers of
 * the model go through a real router, a real worker and a real session service; the model's API and the servers are strict
 * and sloppy fakes on real sockets.
 *
 * `npm test` tries some; `npm run fuzz` tries 10 000 of each (ATOLL_FUZZ_RUNS), and ATOLL_FUZZ_SEED repeats a run.
 */
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { ServerState } from "../../gen/atoll/tool/v1/tool_pb.ts";
import type { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { createAnthropicModel } from "../../services/agent/models/anthropic/anthropic-model.ts";
import { gather, requestOf } from "../../services/agent/models/collect-parts.fixture.ts";
import { bodiesOf, startRealModel } from "../../services/agent/real-model.fixture.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { ErrorReason } from "../../services/kernel/errors.ts";
import { createLog } from "../../services/kernel/log.ts";
import { judgeTools } from "../../services/toolrouter/listing/judge-tools.ts";
import { http, type RunningRouter, startRouter } from "../../services/toolrouter/toolrouter.fixture.ts";
import { verifies } from "../requirements.ts";
import { anyChanges, changedPieces, soundLines } from "../support/fake-anthropic/answers/changed-wire.ts";
import { text } from "../support/fake-anthropic/script.ts";
import { startFakeAnthropic } from "../support/fake-anthropic/start-fake-anthropic.ts";
import type { Answer } from "../support/sloppy-mcp/script.ts";
import { startSloppyHttp } from "../support/sloppy-mcp/start-sloppy-http.ts";
import { anyAnswer } from "./any-answer.ts";
import { anyList } from "./any-list.ts";

const runs = Number(process.env["ATOLL_FUZZ_RUNS"] ?? 100);
const seed = Number(process.env["ATOLL_FUZZ_SEED"] ?? Date.now() % 2 ** 31);
/** Conversations with one list of tools. */
const perList = 50;
const testTimeoutMs = 60_000 + runs * 1_000;

/** A failure names its seed and the one case, not everything that was tried with it. */
function tellFailure<Tried>({ failed, seed: used, counterexamplePath, errorInstance }: fc.RunDetails<Tried>): void {
  if (failed)
    throw new Error(`seed ${used}, path ${counterexamplePath}: ${String(errorInstance)}`, { cause: errorInstance });
}

const log = createLog({ level: "silent", format: "json" });
const counts = { lists: 0, usable: 0, unusable: 0, conversations: 0, completed: 0, failed: 0, refused: 0, unknown: 0 };

afterAll(() => {
  process.stderr.write(`fuzz with seed ${seed}: ${JSON.stringify(counts)}\n`);
});

describe("lists of tools", () => {
  it(
    `are either left out with a reason or taken by the model's API ${verifies("F1", "FT1", "FT2", "FT3", "FT4")}`,
    async () => {
      const fake = await startFakeAnthropic();
      const settings = {
        apiKey: "k",
        baseUrl: fake.url,
        maxRetries: 0,
        timeoutMs: 60_000,
        silenceMs: 60_000,
        models: [],
      };
      const model = createAnthropicModel(settings, { clock: systemClock, log });
      const server = http("http://127.0.0.1:1");
      await fc.assert(
        fc.asyncProperty(anyList, async (entries) => {
          const { tools, unusable, problem } = judgeTools("s", server, entries);
          counts.lists += 1;
          counts.usable += tools.size;
          counts.unusable += unusable.size;
          for (const each of unusable.values()) expect(each.problem).not.toBe("");
          if (tools.size + unusable.size < entries.length) expect(problem).not.toBe("");
          const listed = [...tools.values()].map(({ tool, inputSchema }) => ({
            name: tool.name,
            description: tool.description,
            inputSchema,
          }));
          fake.setScript(() => text("done"));
          const { parts } = await gather(model, { ...requestOf([]), tools: listed, mending: { left: 0 } });
          expect(parts.map(({ kind }) => kind)).not.toContain("tool-left-out");
          expect(parts.at(-1)?.kind).toBe("stop");
        }),
        { numRuns: runs, seed, reporter: tellFailure },
      );
      await fake.close();
    },
    testTimeoutMs,
  );
});

describe("answers of tools and of the model", () => {
  it(
    `end a run as expected, cost no later message, and restart no server ${verifies("F1", "F2", "F3", "FA7", "FW7")}`,
    async () => {
      let router: RunningRouter | undefined;
      const now = (): RunningRouter => router ?? expect.fail("no router");
      const world = await startRealModel({
        router: handOn(now),
        maxRetries: 0,
        agent: { tools: ["*"] },
      });
      const script: { "tools/call": Answer[]; "tools/list": Answer[] } = { "tools/call": [], "tools/list": [] };
      const server = await startSloppyHttp(script);
      const sound = soundLines([
        { type: "thinking", thinking: "So so, 🏝." },
        { type: "text", text: "Hello dear ü friend." },
        { type: "tool_use", id: "toolu_1", name: "sloppy__work", input: { path: "a long enough path" } },
      ]);

      const converse = async (answer: Answer, pieces: readonly string[]): Promise<void> => {
        script["tools/call"] = [answer];
        let calls = 0;
        world.fake.setScript(() => (calls++ === 0 ? { kind: "raw", pieces } : text("done")));
        const { run, sessionId, events } = await world.ask("go");
        counts.conversations += 1;
        const failure = run.failure;
        if (run.status === RunStatus.COMPLETED) counts.completed += 1;
        else {
          counts.failed += 1;
          expect(run.status).toBe(RunStatus.FAILED);
          expect(failure?.reason).toBeOneOf([ErrorReason.MODEL_UNAVAILABLE, ErrorReason.MODEL_GAVE_NO_ANSWER]);
          expect(failure?.message).toMatch(/model|Anthropic/);
        }
        const finished = bodiesOf(events, "toolCallFinished");
        const proposed = bodiesOf(events, "toolCallProposed").map(({ callId }) => callId);
        expect(finished.map(({ callId }) => callId).sort()).toEqual(proposed.sort());
        for (const { outcome } of finished) {
          if (outcome === ToolOutcome.UNKNOWN) counts.unknown += 1;
          expect(outcome).not.toBe(ToolOutcome.UNKNOWN);
        }
        world.statuses();
        world.fake.setScript(() => text("fine"));
        const later = await world.ask("later", sessionId);
        expect(later.run.status, later.run.failure?.message).toBe(RunStatus.COMPLETED);
        counts.refused += world.statuses().filter((status) => status === 400).length;
      };

      const conversation = fc.tuple(anyAnswer, anyChanges, fc.boolean(), fc.boolean());
      let lists = 0;
      await fc.assert(
        fc.asyncProperty(
          anyList,
          fc.array(conversation, { minLength: Math.min(perList, runs), maxLength: Math.min(perList, runs) }),
          async (entries, conversations) => {
            const tools = [{ name: "work", inputSchema: { type: "object" } }, ...entries];
            script["tools/list"] = [[{ result: { tools, nextCursor: null } }]];
            router = await startRouter({ sloppy: http(server.url) }, { agentTools: { main: ["*"] } });
            await expect.poll(async () => (await stateOf(now())).state, { timeout: 20_000 }).toBe(ServerState.READY);
            // A worker keeps a list for a second.
            if (lists++ > 0) await new Promise((resolve) => setTimeout(resolve, 1_100));
            for (const [answer, changes, isChanged, named] of conversations) {
              const pieces = changedPieces(sound, isChanged ? changes : [], named);
              await converse(answer, pieces).catch((error: unknown) => {
                const tried = JSON.stringify({ answer, pieces }).slice(0, 4_000);
                throw new Error(`${String(error)}\nwith ${tried}`, { cause: error });
              });
            }
            expect(await stateOf(now())).toMatchObject({ state: ServerState.READY, restarts: 0 });
            await now().close();
          },
        ),
        { numRuns: Math.max(1, Math.round(runs / perList)), seed, endOnFailure: true, reporter: tellFailure },
      );
    },
    testTimeoutMs,
  );
});

async function stateOf({ client }: RunningRouter) {
  const { server } = await client.getServer({ name: "sloppy" });
  return { state: server?.state, restarts: server?.restarts };
}

/** The router that there is now, as a worker's peer. */
function handOn(now: () => RunningRouter): Partial<ServiceImpl<typeof ToolRouterService>> {
  const options = ({ signal }: HandlerContext) => ({ signal });
  return {
    callTool: (requests, context) => now().client.callTool(requests, options(context)),
    reattachCall: (request, context) => now().client.reattachCall(request, options(context)),
    listTools: (request, context) => now().client.listTools(request, options(context)),
  };
}
