import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import {
  callsIn,
  collect,
  http,
  type RunningRouter,
  startHttpProbe,
  startRouter,
  temporaryFolder,
  until,
} from "../toolrouter.fixture.ts";

function history(): string {
  return path.join(temporaryFolder(), "history");
}

/** Also while it is being started again. */
async function problemOf(router: RunningRouter): Promise<string> {
  const read = async () => (await router.client.getServer({ name: "far" })).server?.problem ?? "";
  await expect.poll(read, { timeout: 30_000 }).not.toBe("");
  return await read();
}

describe("a server over Streamable HTTP", () => {
  it("is called with the configured headers, reports progress and changes its tools", async () => {
    const file = history();
    const { url } = await startHttpProbe(file);
    const router = await startRouter({ far: http(url) });
    const { result } = await router.client.invokeTool({
      call: { callId: "c1", tool: "far.echo", argumentsJson: JSON.stringify({ text: "hi" }) },
    });
    expect(result?.content[0]?.block.value).toMatchObject({ text: "hi" });
    const requests = callsIn(file, "request") as { headers: Record<string, string> }[];
    expect(requests.every(({ headers }) => headers["x-key"] === "secret")).toBe(true);
    async function* call() {
      const value = { callId: "c2", tool: "far.progress", argumentsJson: JSON.stringify({ steps: 3 }) };
      yield { frame: { case: "call" as const, value } };
    }
    const frames = (await collect(router.client.callTool(call()))).map(({ frame }) => frame.case);
    expect(frames).toContain("progress");
    await until(() => requestsOf(file, "GET") === 1);
    await router.client.invokeTool({ call: { callId: "c3", tool: "far.grow" } });
    await until(async () => (await router.client.listTools({})).tools.some(({ name }) => name === "far.grown"));
    await router.close();
    await until(() => requestsOf(file, "DELETE") === 1);
  });

  it("that dies under a call leaves it unknown, and is noticed at once", async () => {
    const file = history();
    const { url, kill } = await startHttpProbe(file);
    const router = await startRouter({ far: http(url) });
    const call = { callId: "c1", tool: "far.slow", argumentsJson: JSON.stringify({ ms: 60_000 }) };
    const pending = router.client.invokeTool({ call });
    await until(() => callsIn(file, "slow").length === 1);
    kill();
    const { result } = await pending;
    expect(result).toMatchObject({ outcome: ToolOutcome.UNKNOWN, reason: ErrorReason.TOOL_OUTCOME_UNKNOWN });
    expect(await problemOf(router)).toContain("ECONNREFUSED");
  });

  it("is told when a call is cancelled by its timeout", async () => {
    const file = history();
    const { url } = await startHttpProbe(file);
    const router = await startRouter({ far: http(url) });
    const call = { callId: "c1", tool: "far.slow", argumentsJson: JSON.stringify({ ms: 60_000 }), timeoutMs: 200 };
    const { result } = await router.client.invokeTool({ call });
    expect(result?.outcome).toBe(ToolOutcome.TIMED_OUT);
    await until(() => callsIn(file, "slow cancelled").length === 1);
  });

  it("that redirects is not followed", async () => {
    const file = history();
    const { url } = await startHttpProbe(file);
    const router = await startRouter({ far: http(url.replace("/mcp", "/elsewhere")) });
    expect(await problemOf(router)).toContain("it redirects (HTTP 307) to /mcp, which is not followed");
  });

  it("that refuses our credentials is named as such", async () => {
    const strict = createServer((_request, response) => void response.writeHead(401).end());
    await new Promise<void>((resolve) => strict.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void strict.close());
    const router = await startRouter({ far: http(`http://127.0.0.1:${(strict.address() as AddressInfo).port}/`) });
    expect(await problemOf(router)).toContain("check `headers`");
  });

  it(`that sends without end is cut off ${verifies("E10")}`, { timeout: 60_000 }, async () => {
    const endless = createServer((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const write = (): void => {
        while (!response.destroyed && response.write("data: {}\n\n".repeat(5000))) {
          // Until the reader takes no more.
        }
        response.once("drain", write);
      };
      write();
    });
    await new Promise<void>((resolve) => endless.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void endless.close());
    const router = await startRouter({ far: http(`http://127.0.0.1:${(endless.address() as AddressInfo).port}/`) });
    expect(await problemOf(router)).toContain("messages a second that nobody asked for");
  });
});

function requestsOf(file: string, method: string): number {
  return (callsIn(file, "request") as { method: string }[]).filter((request) => request.method === method).length;
}
