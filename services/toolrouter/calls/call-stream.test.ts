import path from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { CallToolRequestSchema } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failedWith } from "../../kernel/errors.ts";
import {
  callsIn,
  collect,
  probe,
  sloppy,
  startRouter,
  temporaryFolder,
  until,
  whenReady,
} from "../toolrouter.fixture.ts";

type Sent = MessageInitShape<typeof CallToolRequestSchema>;

function history(): string {
  return path.join(temporaryFolder(), "history");
}

function start(tool: string, args: Record<string, number>): Sent {
  return { frame: { case: "call", value: { callId: "c1", tool, argumentsJson: JSON.stringify(args) } } };
}

const cancel: Sent = { frame: { case: "cancel", value: { reason: "changed my mind" } } };

describe("CallTool", () => {
  it("tells started, progress in order and the result last", async () => {
    const router = await startRouter({ probe: probe(history()) });
    async function* requests() {
      yield start("probe.progress", { steps: 5 });
    }
    const frames = (await collect(router.client.callTool(requests()))).map(({ frame }) => frame);
    expect(frames[0]).toMatchObject({ case: "started", value: { callId: "c1", tool: "probe.progress" } });
    const progress = frames.flatMap((frame) => (frame.case === "progress" ? [frame.value.progress] : []));
    expect(progress.length).toBeGreaterThan(0);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(frames.at(-1)).toMatchObject({ case: "result", value: { outcome: ToolOutcome.SUCCEEDED } });
    expect(frames.filter((frame) => frame.case === "result")).toHaveLength(1);
  });

  it(`shows words that are long and hidden in a few, and holds nobody up ${verifies("E4", "F4")}`, async () => {
    const message = "\u0007".repeat(1_000_000);
    const progress = { jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: "$token", message } };
    const script = { "tools/call": [[{ send: progress }, { delayMs: 500 }, { error: { code: 1, message } }]] };
    const router = await startRouter({ sloppy: sloppy(script).settings });
    await whenReady(router, "sloppy");
    async function* requests() {
      yield start("sloppy.work", {});
    }
    const delays = monitorEventLoopDelay({ resolution: 10 });
    delays.enable();
    const frames = (await collect(router.client.callTool(requests()))).map(({ frame }) => frame);
    delays.disable();
    const shown = frames.find(({ case: kind }) => kind === "progress")?.value;
    expect(shown).toMatchObject({ message: expect.stringMatching(/^\\u\{7\}.{3000,4050}…\[\d+ bytes cut\]$/) });
    expect(frames.at(-1)).toMatchObject({ case: "result", value: { outcome: ToolOutcome.FAILED } });
    expect(JSON.stringify(frames.at(-1)?.value).length).toBeLessThan(4096);
    process.stderr.write(`hidden words: longest delay ${(delays.max / 1e6).toFixed(0)} ms\n`);
    // Escaping all of it takes seconds, twice.
    expect(delays.max / 1e6).toBeLessThan(1500);
  });

  it("carries a cancel to the server", async () => {
    const file = history();
    const router = await startRouter({ probe: probe(file) });
    async function* requests() {
      yield start("probe.slow", { ms: 60_000 });
      await until(() => callsIn(file, "slow").length === 1);
      yield cancel;
    }
    const frames = (await collect(router.client.callTool(requests()))).map(({ frame }) => frame);
    expect(frames.at(-1)).toMatchObject({ case: "result", value: { outcome: ToolOutcome.CANCELLED } });
    await until(() => callsIn(file, "slow cancelled").length === 1);
  });

  it("can be cancelled while its server is starting, and then reaches nobody", async () => {
    const file = history();
    const router = await startRouter({ probe: probe(file, {}, ["--greet-delay-ms=60000"]) });
    async function* requests() {
      yield start("probe.slow", { ms: 1 });
      yield cancel;
    }
    const frames = (await collect(router.client.callTool(requests()))).map(({ frame }) => frame);
    expect(frames).toMatchObject([{ case: "result", value: { outcome: ToolOutcome.CANCELLED } }]);
    expect(callsIn(file, "slow")).toEqual([]);
  });

  it("refuses frames that make no sense, and the call goes on", async () => {
    const file = history();
    const router = await startRouter({ probe: probe(file) });
    const wrongFirst = await collect(router.client.callTool(oneFrame(cancel))).catch((error: unknown) => error);
    expect(failedWith(wrongFirst, ErrorReason.FIELD_INVALID)).toBe(true);
    async function* requests(): AsyncGenerator<Sent> {
      yield start("probe.slow", { ms: 500 });
      await until(() => callsIn(file, "slow").length === 1);
      yield { frame: { case: "decision", value: { approvalId: "apr_1" } } };
    }
    const refused = await collect(router.client.callTool(requests())).catch((error: unknown) => error);
    expect(failedWith(refused, ErrorReason.NOTHING_TO_ANSWER)).toBe(true);
    const frames = await collect(router.client.reattachCall({ callId: "c1" }));
    expect(frames.at(-1)?.frame.value).toMatchObject({ outcome: ToolOutcome.SUCCEEDED });
  });
});

async function* oneFrame(frame: Sent) {
  yield frame;
}
