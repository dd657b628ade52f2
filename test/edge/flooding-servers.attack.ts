/** MCP servers that say too much, or read nothing: each costs only itself. Real programs behind a real router. */
import { describe, expect, test } from "vitest";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import type { McpServerSettings } from "../../services/toolrouter/servers/server-settings.ts";
import { http, type RunningRouter, sloppy, startRouter } from "../../services/toolrouter/toolrouter.fixture.ts";
import { verifies } from "../requirements.ts";
import type { Script } from "../support/sloppy-mcp/script.ts";
import { startSloppyHttp } from "../support/sloppy-mcp/start-sloppy-http.ts";

const MiB = 1024 * 1024;

interface Routed {
  readonly router: RunningRouter["client"];
  /** Why the server was ended last; empty when it never was. */
  readonly problemOf: (name: string) => Promise<string>;
}

/** Each of the servers `bad` begins with its script when its tool `work` is called; the server `good` behaves. */
async function start(bad: Readonly<Record<string, McpServerSettings>>): Promise<Routed> {
  const { client: router } = await startRouter({ ...bad, good: program({}) });
  const tools = Object.keys(bad).length + 1;
  await expect.poll(async () => (await router.listTools({})).tools.length, { timeout: 60_000 }).toBe(tools);
  return { router, problemOf: async (name) => (await router.getServer({ name })).server?.problem ?? "" };
}

function program(script: Script): McpServerSettings {
  return sloppy(script, { startTimeoutMs: 60_000, callTimeoutMs: 100_000, callMaxDurationMs: 100_000 }).settings;
}

/** Resident memory of the process that reads, in MiB. */
function residentMiB(): number {
  return process.memoryUsage.rss() / MiB;
}

/** Calls the good server over and over until `isOver`; returns how long the calls took, in milliseconds and in order. */
async function callMeanwhile(
  { router }: Routed,
  name: string,
  isOver: () => boolean | Promise<boolean>,
): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < 20 || !(await isOver()); n++) {
    const startedAtMs = performance.now();
    const { result } = await router.invokeTool({ call: { callId: `${name}-${n}`, tool: "good.work", context: {} } });
    expect(result?.outcome).toBe(ToolOutcome.SUCCEEDED);
    times.push(performance.now() - startedAtMs);
    if (n > 100_000) throw new Error("what the test waited for did not happen");
  }
  return times.sort((a, b) => a - b);
}

function median(times: readonly number[]): number {
  return times[Math.floor(times.length / 2)] ?? Number.NaN;
}

const notification = (method: string, params: object = {}) => JSON.stringify({ jsonrpc: "2.0", method, params });

describe(`a server that floods ${verifies("E10", "T7", "F1")}`, () => {
  const floods: [string, string][] = [
    ["notifications that nobody knows", notification("notifications/made/up")],
    ["progress of nothing", notification("notifications/progress", { progressToken: 7, progress: 1 })],
    ["messages of its log", notification("notifications/message", { level: "info", data: "x" })],
    ["changes of its tools", notification("notifications/tools/list_changed")],
    ["answers to nothing", '{"jsonrpc":"2.0","id":77,"result":{}}'],
    ["pings", '{"jsonrpc":"2.0","id":$n,"method":"ping"}'],
    ["garbage", "x"],
    ["empty lines", ""],
    ["batches", `[${Array.from({ length: 100 }, () => notification("notifications/made/up")).join(",")}]`],
  ];

  test("is ended with the reason, and others' calls go on", { timeout: 400_000 }, async () => {
    const names = floods.map((_, n) => `bad${n}`);
    const scripts = floods.map(([, line]) => program({ "tools/call": [[{ flood: `${line}\n` }]] }));
    const routed = await start(Object.fromEntries(names.map((name, n) => [name, scripts[n] ?? program({})])));
    const quiet = median(await callMeanwhile(routed, "before", () => true));
    // Three at a time: others bear what they cost together.
    for (let first = 0; first < floods.length; first += 3) {
      const group = names.slice(first, first + 3);
      const rssBefore = residentMiB();
      const calls = group.map((name) =>
        routed.router.invokeTool({ call: { callId: name, tool: `${name}.work`, context: {} } }),
      );
      const problems = () => Promise.all(group.map(routed.problemOf));
      const loud = await callMeanwhile(routed, `during-${first}`, async () => !(await problems()).includes(""));
      const grown = residentMiB() - rssBefore;
      const what = group.map((_name, n) => floods[first + n]?.[0]).join(", ");
      const report = `${what}: p50 ${quiet.toFixed(1)} → ${median(loud).toFixed(1)} ms, longest ${loud.at(-1)?.toFixed(0)} ms, memory +${grown.toFixed(0)} MiB`;
      process.stderr.write(`${report}\n`);
      for (const problem of await problems()) {
        expect(problem, what).toMatch(/more than \d+ (messages|bytes) a second that nobody asked for/);
      }
      const outcomes = (await Promise.all(calls)).map(({ result }) => result?.outcome);
      expect(outcomes, what).toEqual(group.map(() => ToolOutcome.UNKNOWN));
      // Without the bound the calls of others take a hundred times as long, and there is no end.
      expect(median(loud), report).toBeLessThan(Math.max(200, 20 * quiet));
      expect(grown, report).toBeLessThan(250);
    }
  });

  test("over the stream of its response is ended, too", { timeout: 120_000 }, async () => {
    const line = `data: ${notification("notifications/message", { data: "x" })}\n\n`;
    const { url } = await startSloppyHttp({ "tools/call": [[{ stream: true }, { flood: line }]] });
    const routed = await start({ bad: http(url) });
    const bad = routed.router.invokeTool({ call: { callId: "bad", tool: "bad.work", context: {} } });
    await callMeanwhile(routed, "during", async () => (await routed.problemOf("bad")) !== "");
    expect((await bad).result).toMatchObject({ outcome: ToolOutcome.UNKNOWN });
    expect((await bad).result?.message).toContain("messages a second that nobody asked for");
  });

  test("is none with a burst, a fast pace, or a long error output", { timeout: 120_000 }, async () => {
    const line = `${notification("notifications/message", { data: "x" })}\n`;
    const routed = await start({
      burst: program({ "tools/call": [[{ flood: line, perSecond: 4000, seconds: 1 }, { usual: true }]] }),
      fast: program({ "tools/call": [[{ flood: line, perSecond: 800, seconds: 8 }, { usual: true }]] }),
      wordy: program({ "tools/call": [[{ stderr: "a line of a log\n".repeat(20_000) }, { usual: true }]] }),
    });
    const names = ["burst", "fast", "wordy"];
    const ends = names.map(async (name) => {
      const { result } = await routed.router.invokeTool({ call: { callId: name, tool: `${name}.work`, context: {} } });
      return [name, result?.outcome, await routed.problemOf(name)];
    });
    expect(await Promise.all(ends)).toEqual(names.map((name) => [name, ToolOutcome.SUCCEEDED, ""]));
  });
});

describe(`a server that never reads ${verifies("E6", "T7", "F4")}`, () => {
  const ping = (idBytes: number) => `{"jsonrpc":"2.0","id":"${"x".repeat(idBytes)}","method":"ping"}\n`;

  test("and pings is ended, and memory stays flat", { timeout: 200_000 }, async () => {
    const pings = (line: string, perSecond: number) =>
      program({ "tools/call": [[{ stopReading: true }, { flood: line, perSecond, seconds: 60 }]] });
    const routed = await start({ long: pings(ping(50_000), 400), many: pings(ping(10), 900) });
    const rssBefore = residentMiB();
    let most = 0;
    const measure = (): void => {
      most = Math.max(most, residentMiB() - rssBefore);
    };
    const calls = ["long", "many"].map((name) =>
      routed.router.invokeTool({ call: { callId: name, tool: `${name}.work`, context: {} } }).catch(() => undefined),
    );
    await callMeanwhile(routed, "during", async () => {
      measure();
      return (await routed.problemOf("long")) !== "";
    });
    expect(await routed.problemOf("long")).toContain(
      "it does not read: more than 16777216 bytes wait to be written to it",
    );
    // The other one stays below the pace that a server may have: what waits for it is bounded all the same.
    for (let n = 0; n < 50; n++) {
      measure();
      await routed.router.invokeTool({ call: { callId: `after-${n}`, tool: "good.work", context: {} } });
    }
    process.stderr.write(`pings: memory at most +${most.toFixed(0)} MiB\n`);
    // Without the bound: 1.4 GB in 9 s.
    expect(most).toBeLessThan(300);
    // They end with the router.
    for (const call of calls) call.catch(() => undefined);
  });

  test("gets no more calls than it has room for, and those that waited were not sent", {
    timeout: 120_000,
  }, async () => {
    const routed = await start({ bad: program({ "tools/call": [[{ stopReading: true }, { hang: true }]] }) });
    const text = "x".repeat(MiB);
    const calls = Array.from({ length: 24 }, (_, n) => ({
      callId: `bad-${n}`,
      tool: "bad.work",
      argumentsJson: JSON.stringify({ text }),
      context: {},
      timeoutMs: 60_000,
    }));
    const results = await Promise.all(calls.map(async (call) => (await routed.router.invokeTool({ call })).result));
    const outcomes = results.map((result) => result?.outcome);
    expect(outcomes.filter((outcome) => outcome === ToolOutcome.REFUSED).length).toBeGreaterThan(4);
    expect(outcomes.filter((outcome) => outcome === ToolOutcome.SUCCEEDED)).toEqual([]);
    expect(results.map((result) => result?.message).join("\n")).toContain("it does not read");
  });
});
