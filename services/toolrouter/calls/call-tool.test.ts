import path from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { ToolResult } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failureFacts } from "../../kernel/errors.ts";
import {
  callsIn,
  holderOf,
  probe,
  type RunningRouter,
  startRouter,
  temporaryFolder,
  until,
} from "../toolrouter.fixture.ts";

type Invocation = Parameters<RunningRouter["client"]["invokeTool"]>[0]["call"];

async function invoke(router: RunningRouter, call: NonNullable<Invocation>): Promise<ToolResult> {
  const { result } = await router.client.invokeTool({ call });
  if (result === undefined) throw new Error("no result");
  return result;
}

async function refusal(work: Promise<unknown>) {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConnectError)) throw new Error(`expected a ConnectError, got ${String(error)}`);
  return { code: error.code, message: error.rawMessage, ...failureFacts(error) };
}

function textOf(result: ToolResult): string {
  return result.content.map(({ block }) => (block.case === "text" ? block.value.text : `<${block.case}>`)).join("|");
}

function history(): string {
  return path.join(temporaryFolder(), "history");
}

describe("a tool call", () => {
  it("brings back what the tool answered", async () => {
    const router = await startRouter({ probe: probe(history()) });
    const echo = await invoke(router, {
      callId: "c1",
      tool: "probe.echo",
      argumentsJson: JSON.stringify({ text: "hello" }),
    });
    expect(echo).toMatchObject({ callId: "c1", outcome: ToolOutcome.SUCCEEDED, truncated: false });
    expect(textOf(echo)).toBe("hello");
    const add = await invoke(router, {
      callId: "c2",
      tool: "probe.add",
      argumentsJson: JSON.stringify({ a: 2, b: 3 }),
    });
    expect(add.structuredJson).toBe('{"sum":5}');
    const failed = await invoke(router, { callId: "c3", tool: "probe.fail" });
    expect(failed.outcome).toBe(ToolOutcome.FAILED);
    expect(textOf(failed)).toBe("it went wrong");
  });

  it("maps every kind of content", async () => {
    const router = await startRouter({ probe: probe(history()) });
    const media = await invoke(router, { callId: "c1", tool: "probe.media" });
    expect(media.content.map(({ block }) => block.case)).toEqual(["image", "audio", "text", "text", "file", "text"]);
    expect(textOf(media)).toContain("# Note");
    expect(textOf(media)).toContain("file:///a/b.txt");
  });

  it("is refused with the field paths when its arguments break the schema, and the server never sees it", async () => {
    const file = history();
    const router = await startRouter({ probe: probe(file) });
    const wrong = await refusal(
      invoke(router, { callId: "c1", tool: "probe.echo", argumentsJson: JSON.stringify({ text: 5 }) }),
    );
    expect(wrong).toMatchObject({ code: Code.InvalidArgument, reason: ErrorReason.TOOL_ARGUMENTS_INVALID });
    expect(wrong.fields).toEqual([{ path: "arguments.text", problem: "must be string" }]);
    const none = await refusal(invoke(router, { callId: "c1", tool: "probe.echo" }));
    expect(none.fields).toEqual([{ path: "arguments.text", problem: "is missing" }]);
    expect(callsIn(file, "echo")).toEqual([]);
    // A refusal recorded nothing: the same id can be used for the call as it was meant.
    const right = await invoke(router, {
      callId: "c1",
      tool: "probe.echo",
      argumentsJson: JSON.stringify({ text: "5" }),
    });
    expect(right.outcome).toBe(ToolOutcome.SUCCEEDED);
  });

  it("of a tool that does not exist, or that policy hides, is refused", async () => {
    const router = await startRouter({ probe: probe(history()) }, { agentTools: { main: ["probe.e*"] } });
    for (const tool of ["probe.nope", "nobody.echo", "echo", ".echo"]) {
      const refused = await refusal(invoke(router, { callId: "c1", tool }));
      expect(refused).toMatchObject({ code: Code.NotFound, reason: ErrorReason.TOOL_NOT_FOUND });
    }
    const context = { agentId: "main" };
    const hidden = await refusal(invoke(router, { callId: "c1", tool: "probe.fail", context }));
    expect(hidden).toMatchObject({ reason: ErrorReason.TOOL_DENIED, metadata: { rule: "tools: [probe.e*]" } });
    const allowed = await invoke(router, {
      callId: "c1",
      tool: "probe.echo",
      argumentsJson: JSON.stringify({ text: "" }),
      context,
    });
    expect(allowed.outcome).toBe(ToolOutcome.SUCCEEDED);
  });

  it("of a server that is not trusted waits for an approval that nobody can give", async () => {
    const file = history();
    const router = await startRouter({ probe: probe(file, { trusted: false }) });
    const refused = await refusal(invoke(router, { callId: "c1", tool: "probe.fail" }));
    expect(refused.reason).toBe(ErrorReason.APPROVAL_REQUIRED);
    expect(callsIn(file, "fail")).toEqual([]);
  });

  it("ends at its timeout although it reports progress, and the server is told", async () => {
    const file = history();
    const router = await startRouter({ probe: probe(file) });
    const call = {
      callId: "c1",
      tool: "probe.progress",
      argumentsJson: JSON.stringify({ steps: 10_000 }),
      timeoutMs: 300,
    };
    const result = await invoke(router, call);
    expect(result).toMatchObject({ outcome: ToolOutcome.TIMED_OUT, reason: ErrorReason.TOOL_TIMEOUT });
    const slow = { callId: "c2", tool: "probe.slow", argumentsJson: JSON.stringify({ ms: 60_000 }), timeoutMs: 100 };
    expect((await invoke(router, slow)).outcome).toBe(ToolOutcome.TIMED_OUT);
    await until(() => callsIn(file, "slow cancelled").length === 1);
  });

  it("whose server crashes under it ends as unknown, and the server comes back", async () => {
    const file = history();
    const router = await startRouter({ probe: probe(file) });
    const result = await invoke(router, { callId: "c1", tool: "probe.crash" });
    expect(result).toMatchObject({ outcome: ToolOutcome.UNKNOWN, reason: ErrorReason.TOOL_OUTCOME_UNKNOWN });
    expect(result.message).toContain("exited with code 3: the probe was told to crash");
    const down = await refusal(invoke(router, { callId: "c2", tool: "probe.fail" }));
    expect(down).toMatchObject({ code: Code.Unavailable, reason: ErrorReason.SERVER_UNAVAILABLE });
    expect(down.retryAfterMs).toBeGreaterThan(0);
    await until(async () => (await router.client.getServer({ name: "probe" })).server?.toolCount === 12);
    expect(
      textOf(
        await invoke(router, { callId: "c3", tool: "probe.echo", argumentsJson: JSON.stringify({ text: "back" }) }),
      ),
    ).toBe("back");
    expect(callsIn(file, "crash")).toHaveLength(1);
    expect((await invoke(router, { callId: "c1", tool: "probe.crash" })).outcome).toBe(ToolOutcome.UNKNOWN);
    expect(callsIn(file, "crash")).toHaveLength(1);
  });

  it("of a repeatable tool is repeated once, and only once", async () => {
    const file = history();
    const router = await startRouter({ probe: probe(file, { repeatableTools: ["crash"] }) });
    const result = await invoke(router, { callId: "c1", tool: "probe.crash" });
    expect(result.outcome).toBe(ToolOutcome.UNKNOWN);
    expect(callsIn(file, "crash")).toHaveLength(2);
  });

  it("with an id that was used returns the first outcome and calls nothing", async () => {
    const file = history();
    const dataDir = temporaryFolder();
    const call = { callId: "c1", tool: "probe.echo", argumentsJson: JSON.stringify({ text: "once" }) };
    const first = await startRouter({ probe: probe(file) }, { dataDir });
    const results = await Promise.all([invoke(first, call), invoke(first, call), invoke(first, call)]);
    expect(results.map(textOf)).toEqual(["once", "once", "once"]);
    const other = await refusal(invoke(first, { ...call, argumentsJson: JSON.stringify({ text: "twice" }) }));
    expect(other).toMatchObject({ code: Code.AlreadyExists, reason: ErrorReason.REQUEST_ID_REUSED });
    await first.close();
    const second = await startRouter({ probe: probe(file) }, { dataDir });
    expect(await invoke(second, call)).toEqual(results[0]);
    expect(callsIn(file, "echo")).toEqual([{ text: "once" }]);
  });

  it("of an older epoch is refused", async () => {
    let epoch = 2;
    const router = await startRouter({ probe: probe(history()) }, { caller: () => holderOf({ epoch }) });
    const call = { tool: "probe.echo", argumentsJson: JSON.stringify({ text: "" }) };
    await invoke(router, { ...call, callId: "c1" });
    epoch = 1;
    const late = await refusal(invoke(router, { ...call, callId: "c2" }));
    expect(late).toMatchObject({ code: Code.FailedPrecondition, reason: ErrorReason.EPOCH_FENCED });
    expect(late.metadata).toEqual({ run_id: holderOf({ epoch }).run?.runId, epoch: "2" });
  });
});

describe("a giant answer", () => {
  it("is cut between two characters and kept whole as a blob", async () => {
    const router = await startRouter({ probe: probe(history()) });
    const bytes = 300 * 1024;
    const result = await invoke(router, {
      callId: "c1",
      tool: "probe.flood",
      argumentsJson: JSON.stringify({ bytes }),
    });
    const [text, file] = result.content.map(({ block }) => block);
    if (text?.case !== "text" || file?.case !== "file") throw new Error("expected a text and a file");
    expect(result.truncated).toBe(true);
    expect(text.value.text).toMatch(/^xé+$/);
    expect(Buffer.byteLength(text.value.text)).toBe(256 * 1024 - 1);
    const source = file.value.media?.source;
    if (source?.case !== "blob") throw new Error("expected a blob");
    const whole = await router.blobs.get({ tenant: "local", principal: "x" }, source.value.sha256);
    expect(Buffer.from(whole ?? []).toString("utf8")).toBe(`x${"é".repeat(bytes / 2)}`);
  });

  it(`of 5 MB arrives, one over 16 MiB costs its call alone ${verifies("FA8")}`, async () => {
    const file = history();
    const router = await startRouter({ probe: probe(file) });
    const large = await invoke(router, {
      callId: "c1",
      tool: "probe.flood",
      argumentsJson: JSON.stringify({ bytes: 5_000_000 }),
    });
    expect(large).toMatchObject({ outcome: ToolOutcome.SUCCEEDED, truncated: true });
    const result = await invoke(router, {
      callId: "c2",
      tool: "probe.flood",
      argumentsJson: JSON.stringify({ bytes: 17 * 1024 * 1024 }),
    });
    expect(result.outcome).toBe(ToolOutcome.FAILED);
    expect(result.message).toContain("it is longer than 16777216 bytes");
    expect(
      textOf(
        await invoke(router, { callId: "c3", tool: "probe.echo", argumentsJson: JSON.stringify({ text: "lives on" }) }),
      ),
    ).toBe("lives on");
    expect((await router.client.getServer({ name: "probe" })).server?.restarts).toBe(0);
  });
});
