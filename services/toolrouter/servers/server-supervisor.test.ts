import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { ServerState } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import { ErrorReason, failedWith } from "../../kernel/errors.ts";
import { probe, startRouter, stdio, temporaryFolder, until, whenReady } from "../toolrouter.fixture.ts";

function history(): string {
  return path.join(temporaryFolder(), "history");
}

/** A zombie that nobody reaps is not alive. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

async function textOf(router: Awaited<ReturnType<typeof startRouter>>, callId: string, tool: string): Promise<string> {
  const { result } = await router.client.invokeTool({ call: { callId, tool } });
  const block = result?.content[0]?.block;
  if (block?.case !== "text") throw new Error("expected text");
  return block.value.text;
}

describe("a server that does not start", () => {
  it.each([
    ["its program is missing", stdio("no-such-program", []), "spawn no-such-program ENOENT"],
    [
      "it exits at once",
      stdio(process.execPath, ["-e", "console.error('no key'); process.exit(1)"]),
      "exited with code 1: no key",
    ],
    ["it says nothing", stdio("sleep", ["60"], { startTimeoutMs: 200 }), "it did not answer within 200 ms"],
    [
      "its port is closed",
      { ...stdio("x", []), target: { kind: "http", url: "http://127.0.0.1:9/mcp", headers: {} } } as const,
      "ECONNREFUSED",
    ],
  ])("is named with its problem and what to do when %s", async (_case, settings, problem) => {
    const router = await startRouter({ broken: settings, probe: probe(history()) });
    await until(
      async () => (await router.client.getServer({ name: "broken" })).server?.state === ServerState.BACKING_OFF,
    );
    const error = await router.client.invokeTool({ call: { callId: "c1", tool: "broken.x" } }).catch((e: unknown) => e);
    expect(failedWith(error, ErrorReason.SERVER_UNAVAILABLE)).toBe(true);
    expect(String(error)).toContain(problem);
    expect(String(error)).toMatch(/check .*"broken"/);
    await whenReady(router, "probe");
    const { tools, unavailable } = await router.client.listTools({});
    expect(unavailable.map(({ name }) => name)).toEqual(["broken"]);
    expect(unavailable[0]?.problem).toContain(problem);
    expect(tools.every(({ server }) => server === "probe")).toBe(true);
  });

  it("is not waited for by what does not need it", async () => {
    const router = await startRouter({ slow: stdio("sleep", ["60"]), probe: probe(history()) });
    expect(router.counts()).toEqual({ readyServers: 0, calls: 0 });
    expect(await textOf(router, "c1", "probe.fail")).toBe("it went wrong");
  });
});

describe("a child process", () => {
  it("sees only the environment that it is given", async () => {
    process.env.ANTHROPIC_API_KEY ??= "sk-must-not-be-seen";
    const router = await startRouter({ probe: probe(history()) });
    const seen = JSON.parse(await textOf(router, "c1", "probe.environ")) as Record<string, string>;
    expect(seen).toMatchObject({ PROBE: "configured", HOME: "/home/of-the-test" });
    expect(Object.keys(seen).sort()).toEqual(["HOME", "PATH", "PROBE"]);
  });

  it("is ended with everything that it started", async () => {
    const router = await startRouter({ probe: probe(history()) });
    const pid = Number(await textOf(router, "c1", "probe.grandchild"));
    expect(isAlive(pid)).toBe(true);
    await router.close();
    expect(isAlive(pid)).toBe(false);
  });

  it("that crashes leaves no orphan either", async () => {
    const router = await startRouter({ probe: probe(history()) });
    const pid = Number(await textOf(router, "c1", "probe.grandchild"));
    await router.client.invokeTool({ call: { callId: "c2", tool: "probe.crash" } });
    await until(() => !isAlive(pid));
  });

  it("that ignores SIGTERM is killed", async () => {
    const script = "trap '' TERM; echo $$ >&2; while :; do sleep 1; done";
    const router = await startRouter({ stubborn: stdio("sh", ["-c", script], { startTimeoutMs: 60_000 }) });
    const pidLine = (): string | undefined => router.logLines.find((line) => line.includes("stderr"));
    await until(() => pidLine() !== undefined);
    const pid = Number((JSON.parse(pidLine() ?? "") as { stderr: string }).stderr);
    expect(isAlive(pid)).toBe(true);
    await router.close();
    expect(isAlive(pid)).toBe(false);
  });

  it("has its error output logged, cut and limited", async () => {
    const marker = history();
    const script = `console.error("x".repeat(5000));
      for (let i = 0; i < 499; i++) console.error("line " + i);
      // What the pipe did not take yet waits in the child: only the callback says that it is out.
      process.stderr.write("line 499\\n", () => require("node:fs").writeFileSync(process.argv[1], ""));
      setInterval(() => {}, 1000);`;
    const router = await startRouter({ loud: stdio(process.execPath, ["-e", script, marker]) });
    const lines = () =>
      router.logLines.map((line) => JSON.parse(line) as { stderr?: string; suppressedLines?: number });
    await until(() => existsSync(marker));
    await router.close();
    const written = lines().flatMap(({ stderr }) => (stderr === undefined ? [] : [stderr]));
    expect(written[0]).toBe("x".repeat(1024));
    expect(written.length).toBeLessThan(501);
    const suppressed = lines().reduce((sum, { suppressedLines = 0 }) => sum + suppressedLines, 0);
    expect(written.length + suppressed).toBe(501);
  });
});

describe("RestartServer", () => {
  it("restarts once a request id", async () => {
    const router = await startRouter({ probe: probe(history()), other: probe(history()) });
    await router.client.listTools({});
    await router.client.restartServer({ requestId: "r1", name: "probe" });
    await router.client.restartServer({ requestId: "r1", name: "probe" });
    await whenReady(router, "probe");
    expect((await router.client.getServer({ name: "probe" })).server).toMatchObject({
      state: ServerState.READY,
      restarts: 1,
    });
    const reused = await router.client
      .restartServer({ requestId: "r1", name: "other" })
      .catch((error: unknown) => error);
    expect(failedWith(reused, ErrorReason.REQUEST_ID_REUSED)).toBe(true);
    const unknown = await router.client
      .restartServer({ requestId: "r2", name: "nope" })
      .catch((error: unknown) => error);
    expect(failedWith(unknown, ErrorReason.SERVER_NOT_FOUND)).toBe(true);
  });
});
