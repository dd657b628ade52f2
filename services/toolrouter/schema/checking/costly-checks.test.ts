/**
 * Schemas and arguments that take long to check, against a real router with real servers in this process: the event loop is
 * never held for long, and calls of another server are answered meanwhile.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { JsonObject } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ToolState } from "../../../../gen/atoll/tool/v1/tool_pb.ts";
import { verifies } from "../../../../test/requirements.ts";
import { systemClock } from "../../../kernel/clock.ts";
import { ErrorReason, failureFacts, reasonName } from "../../../kernel/errors.ts";
import {
  probe,
  type RunningRouter,
  rawServer,
  startRouter,
  temporaryFolder,
  whenReady,
} from "../../toolrouter.fixture.ts";

/** A check in the wrong place takes minutes; a machine with twenty programs a core makes seconds of milliseconds. */
const maxDelayMs = 5_000;

async function startCostly(inputSchema: unknown): Promise<RunningRouter> {
  const raw = rawServer(JSON.stringify({ tools: [{ name: "t", inputSchema }] }));
  const router = await startRouter({ raw: raw.settings, other: probe(`${temporaryFolder()}/history`) });
  await whenReady(router, "raw", "other");
  await router.client.invokeTool({
    call: { callId: "warm", tool: "other.echo", argumentsJson: JSON.stringify({ text: "" }) },
  });
  return router;
}

/** How the call ended, and the longest that the loop and another server's call stood still meanwhile. */
async function callAmongOthers(router: RunningRouter, args: JsonObject) {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  await systemClock.sleep(50);
  delay.enable();
  let isOver = false;
  const call = router.client
    .invokeTool({ call: { callId: "costly", tool: "raw.t", argumentsJson: JSON.stringify(args) } })
    .then(
      () => "answered",
      (error: unknown) => (error instanceof ConnectError ? reasonName(failureFacts(error).reason ?? 0) : String(error)),
    )
    .finally(() => {
      isOver = true;
    });
  let others = 0;
  do {
    const tool = "other.echo";
    await router.client.invokeTool({
      call: { callId: `other-${others}`, tool, argumentsJson: JSON.stringify({ text: "hi" }) },
    });
    others++;
    await systemClock.sleep(5);
  } while (!isOver);
  const end = await call;
  delay.disable();
  return { end, others, delayMs: delay.max / 1e6 };
}

const deep = (levels: number): JsonObject =>
  Array.from({ length: levels }).reduce<JsonObject>((inner) => ({ a: inner }), {});
const twice = [{ properties: { a: { $ref: "#/$defs/n" } } }, { properties: { a: { $ref: "#/$defs/n" } } }];
const many = (count: number, each: (n: number) => unknown): unknown[] =>
  Array.from({ length: count }, (_, n) => each(n));
const evil = `${"a".repeat(60_000)}!`;

describe("a check that could take long", { timeout: 120_000 }, () => {
  it.each<[string, unknown, JsonObject, RegExp]>([
    [
      "a pattern that backtracks",
      { properties: { p: { pattern: "^(a+)+$" } } },
      { p: evil },
      /^TOOL_ARGUMENTS_INVALID$/,
    ],
    ["one for names", { patternProperties: { "^(a|aa)+$": { type: "number" } } }, { [evil]: "x" }, /^answered$/],
    [
      "one for the names of all",
      { propertyNames: { pattern: "^([a-z]+)*$" } },
      { [evil]: 1 },
      /^TOOL_ARGUMENTS_INVALID$/,
    ],
    [
      "one with a large program",
      { properties: { p: { pattern: "^.{0,900}.{0,900}x$" } } },
      { p: evil },
      /^TOOL_(ARGUMENTS_INVALID|CHECK_TOO_COSTLY)$/,
    ],
    [
      "60 000 items that differ",
      { properties: { l: { type: "array", uniqueItems: true } } },
      { l: many(60_000, (n) => n) as number[] },
      /^answered$/,
    ],
    [
      "20 000 objects that differ",
      { properties: { l: { type: "array", uniqueItems: true } } },
      { l: many(20_000, (n) => ({ n })) as JsonObject[] },
      /^answered$/,
    ],
    [
      "alternatives that double on the way down",
      { $ref: "#/$defs/n", $defs: { n: { type: "object", allOf: twice } } },
      deep(29),
      /^TOOL_CHECK_TOO_COSTLY$/,
    ],
    [
      "the same by anyOf",
      { $ref: "#/$defs/n", $defs: { n: { type: "object", anyOf: twice } } },
      deep(29),
      /^(answered|TOOL_CHECK_TOO_COSTLY)$/,
    ],
    [
      "many alternatives for many items",
      { properties: { l: { items: { anyOf: many(500, (n) => ({ const: `v${n}` })) } } } },
      { l: many(50_000, () => "x") as string[] },
      /^TOOL_(ARGUMENTS_INVALID|CHECK_TOO_COSTLY)$/,
    ],
    [
      "a giant enum for many items",
      { properties: { l: { items: { enum: many(1_000, (n) => ({ n })) } } } },
      { l: many(20_000, () => ({ n: -1 })) as JsonObject[] },
      /^TOOL_(ARGUMENTS_INVALID|CHECK_TOO_COSTLY)$/,
    ],
    [
      "4 500 properties",
      {
        properties: Object.fromEntries(
          many(4_500, (n) => [`p${n}`, { type: "string", maxLength: 9 }]) as [string, unknown][],
        ),
      },
      { p1: 1 },
      /^TOOL_(ARGUMENTS_INVALID|UNUSABLE)$/,
    ],
    [
      "400 definitions one behind the other",
      {
        properties: { a: { $ref: "#/$defs/d0" } },
        $defs: Object.fromEntries(
          many(400, (n) => [`d${n}`, { properties: { a: { $ref: `#/$defs/d${(n + 1) % 400}` } } }]) as [
            string,
            unknown,
          ][],
        ),
      },
      { a: 1 },
      /^(answered|TOOL_ARGUMENTS_INVALID)$/,
    ],
  ])(`stops nobody else: %s ${verifies("E2")}`, async (_case, schema, args, expected) => {
    const router = await startCostly(schema);
    const { end, others, delayMs } = await callAmongOthers(router, args);
    expect(end).toMatch(expected);
    expect(others).toBeGreaterThan(0);
    expect(delayMs).toBeLessThan(maxDelayMs);
  });

  it.each<[string, unknown, string]>([
    [
      "20 000 properties",
      { properties: Object.fromEntries(many(20_000, (n) => [`p${n}`, { type: "string" }]) as [string, unknown][]) },
      "has more than 5000 parts",
    ],
    [
      "alternatives that double in place",
      {
        $ref: "#/$defs/d0",
        $defs: Object.fromEntries(
          many(40, (n) => [
            `d${n}`,
            n === 39 ? {} : { anyOf: [{ $ref: `#/$defs/d${n + 1}` }, { $ref: `#/$defs/d${n + 1}` }] },
          ]) as [string, unknown][],
        ),
      },
      "is too costly",
    ],
    ["a schema without end", { properties: { a: { $ref: "#/properties/a" } } }, "refers to itself without end"],
    ["200 000 values of a note", { "x-values": many(200_000, (n) => n) }, "has more than 20000 values"],
  ])(`is seen when the tool is listed: %s ${verifies("E2", "FT3")}`, async (_case, schema, problem) => {
    const delay = monitorEventLoopDelay({ resolution: 10 });
    delay.enable();
    const router = await startCostly(schema);
    delay.disable();
    const { tools } = await router.client.listTools({ server: "raw", includeUnusable: true });
    expect(tools).toMatchObject([
      { name: "raw.t", state: ToolState.UNUSABLE, problem: expect.stringContaining(problem) },
    ]);
    expect((await callAmongOthers(router, {})).end).toBe("TOOL_UNUSABLE");
  });

  it(`has one thread a server, and a few wait: the others go on, the rest is refused ${verifies("E2")}`, async () => {
    const schema = { $ref: "#/$defs/n", $defs: { n: { type: "object", allOf: twice } } };
    const [bad, fine] = [
      rawServer(JSON.stringify({ tools: [{ name: "t", inputSchema: schema }] })),
      rawServer(JSON.stringify({ tools: [{ name: "t", inputSchema: schema }] })),
    ];
    const router = await startRouter({ bad: bad.settings, fine: fine.settings });
    await whenReady(router, "bad", "fine");
    const call = (server: string, n: number, args: JsonObject) =>
      router.client
        .invokeTool({ call: { callId: `${server}-${n}`, tool: `${server}.t`, argumentsJson: JSON.stringify(args) } })
        .then(
          () => "answered",
          (error: unknown) => (error instanceof ConnectError ? failureFacts(error).reason : error),
        );
    const flood = Array.from({ length: 12 }, (_, n) => call("bad", n, deep(29)));
    // Deep enough for the thread, and soon done there.
    expect(await call("fine", 0, deep(14))).toBe("answered");
    const ends = await Promise.all(flood);
    expect(ends.filter((end) => end === ErrorReason.TOOL_CHECK_TOO_COSTLY)).toHaveLength(5);
    expect(ends.filter((end) => end === ErrorReason.LIMIT_EXCEEDED)).toHaveLength(7);
    expect(await call("bad", 99, {})).toBe("answered");
  });
});
