import { readFileSync } from "node:fs";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ErrorReason, failureFacts } from "../../kernel/errors.ts";
import { rawServer, startRouter } from "../toolrouter.fixture.ts";

const inputSchema = { type: "object", properties: { id: { type: "integer" }, of: {} } };

async function startOne() {
  const raw = rawServer(JSON.stringify({ tools: [{ name: "t", inputSchema }] }));
  const router = await startRouter({ raw: raw.settings });
  const call = (callId: string, argumentsJson: string) =>
    router.client.invokeTool({ call: { callId, tool: "raw.t", argumentsJson } });
  const received = () => readFileSync(raw.history, "utf8").trim().split("\n").slice(1);
  return { call, received };
}

describe("the arguments of a call", () => {
  it.each([
    ["an id of 64 bits", '{"id":9223372036854775807}', '{"id":9223372036854775807}'],
    ["an id of a messenger, in a list", '{"of":[-1001234567890123456]}', '{"of":[-1001234567890123456]}'],
    ["another spelling", ' { "of" : 1.0, "id":\n12 } ', '{"of":1,"id":12}'],
    ["nothing", "", "{}"],
  ])("reach the server with every digit: %s", async (_name, given, expected) => {
    const { call, received } = await startOne();
    await call("c1", given);
    expect(received()).toEqual([`{"tool":"t","args":${expected}}`]);
  });

  it("are the same in another spelling, and others when one digit differs", async () => {
    const { call, received } = await startOne();
    const first = await call("c1", '{"id":9223372036854775807,"of":1}');
    expect(await call("c1", '{ "of": 1.0, "id": 9223372036854775807 }')).toEqual(first);
    const other = await call("c1", '{"id":9223372036854775806,"of":1}').catch((error: unknown) => error);
    expect(failureFacts(other as never).reason).toBe(ErrorReason.REQUEST_ID_REUSED);
    expect(received()).toHaveLength(1);
  });

  it.each([
    ["no JSON", "{", "are no JSON"],
    ["a list", "[1]", "are no JSON object"],
    ["a number", "12345678901234567890", "are no JSON object"],
    ["a number beyond all", '{"of":1e400}', "too large"],
    ["one below all", '{"of":1e-100001}', "too large"],
    ["31 levels", `${'{"of":'.repeat(30)}{}${"}".repeat(30)}`, "nested deeper than 30"],
    ["too many values", `{"of":[${"1,".repeat(70_000)}1]}`, "more than 65536 values"],
    ["half a surrogate pair", '{"of":"\\ud83d"}', "surrogate"],
    ["a key that is none", '{"__proto__":1}', "__proto__"],
  ])("are refused when they are %s", async (_name, given, problem) => {
    const { call, received } = await startOne();
    const error = await call("c1", given).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: Code.InvalidArgument });
    const { reason, fields } = failureFacts(error as never);
    expect(reason).toBe(ErrorReason.TOOL_ARGUMENTS_INVALID);
    expect(fields).toEqual([{ path: "arguments", problem: expect.stringContaining(problem) }]);
    expect(received()).toEqual([]);
  });
});
