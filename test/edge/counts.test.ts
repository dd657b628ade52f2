/** E5 on a real mesh: what a request is made of is counted before it costs anything, in every protocol and encoding. */
import { gzipSync } from "node:zlib";
import { create, type JsonObject, toBinary, toJsonString } from "@bufbuild/protobuf";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ContentBlockSchema, ToolResultBlockSchema } from "../../gen/atoll/content/v1/content_block_pb.ts";
import { SendMessageRequestSchema } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import {
  CreateSessionRequestSchema,
  UpdateSessionRequestSchema,
} from "../../gen/atoll/session/v1/session_service_pb.ts";
import { InvokeToolRequestSchema } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { type MeshClient, say } from "../e2e/mesh-client.fixture.ts";
import { callRaw, type Protocol, refusalOfRaw } from "../e2e/raw-calls.fixture.ts";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "../e2e/scripted-mesh.fixture.ts";
import { verifies } from "../requirements.ts";

const update = "atoll.session.v1.SessionService/UpdateSession";
const createMethod = "atoll.session.v1.SessionService/CreateSession";
const send = "atoll.gateway.v1.GatewayService/SendMessage";
const invoke = "atoll.tool.v1.ToolRouterService/InvokeTool";

let scripted: ScriptedMesh;
let client: MeshClient;
let sessionId: string;

beforeAll(async () => {
  scripted = await startScriptedMesh({ config: "{}" });
  ({ client } = scripted);
  ({ sessionId } = await say(client, "hello"));
}, 240_000);
afterAll(() => scripted?.stop());
beforeEach(() => showLogOnFailure(scripted.mesh));

const { number: toolResult } = ContentBlockSchema.field.toolResult;
const { number: inResult } = ToolResultBlockSchema.field.content;
const requestId = () => crypto.randomUUID();
const base = () => ({ url: scripted.mesh.url, token: scripted.mesh.token, protocol: "connect" as const });
/** A field of length-delimited bytes, as the wire has it. */
function field(number: number, content: Uint8Array): Buffer {
  const head: number[] = [];
  for (const value of [(number << 3) | 2, content.length]) {
    let left = value;
    for (; left > 127; left >>>= 7) head.push((left & 127) | 128);
    head.push(left);
  }
  return Buffer.concat([Buffer.from(head), content]);
}
const repeated = (bytes: number[], count: number) => Buffer.alloc(bytes.length * count, Buffer.from(bytes));
const mask = (paths: string[]) =>
  create(UpdateSessionRequestSchema, { requestId: requestId(), sessionId, session: {}, updateMask: { paths } });
const preferring = (preferences: JsonObject) =>
  create(UpdateSessionRequestSchema, {
    ...{ requestId: requestId(), sessionId, session: { preferences }, updateMask: { paths: ["preferences"] } },
  });
const withArguments = (args: JsonObject) =>
  create(InvokeToolRequestSchema, {
    call: { callId: requestId(), tool: "filesystem.list_directory", argumentsJson: JSON.stringify(args), context: {} },
  });
const fields = (count: number): JsonObject =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 1]));
const nested = (depth: number): JsonObject => (depth === 0 ? {} : { a: nested(depth - 1) });

interface Attack {
  readonly method: string;
  readonly message: Uint8Array;
  readonly codec?: "json";
  readonly isZipped?: true;
  readonly protocol?: Protocol;
}

const attacks: Readonly<Record<string, () => Attack>> = {
  "20 000 mask paths": () => ({
    method: update,
    message: toBinary(UpdateSessionRequestSchema, mask(Array(20_000).fill("x"))),
  }),
  "100 000 mask paths in JSON": () => ({
    ...{ method: update, codec: "json" as const },
    message: Buffer.from(toJsonString(UpdateSessionRequestSchema, mask(Array(100_000).fill("x")))),
  }),
  "2 000 000 empty blocks of content": () => ({
    method: send,
    message: Buffer.concat([field(1, Buffer.from("r1")), field(4, repeated([0x0a, 0x00], 2_000_000))]),
  }),
  "the same, packed into 4 KB": () => ({
    ...{ method: send, isZipped: true },
    message: gzipSync(Buffer.concat([field(1, Buffer.from("r1")), field(4, repeated([0x0a, 0x00], 2_000_000))])),
  }),
  "the same over gRPC": () => ({
    protocol: "grpc",
    method: send,
    message: field(4, repeated([0x0a, 0x00], 2_000_000)),
  }),
  "the same over gRPC-Web, packed": () => ({
    ...{ protocol: "grpc-web", method: send, isZipped: true },
    message: gzipSync(field(4, repeated([0x0a, 0x00], 2_000_000))),
  }),
  "blocks within blocks": () => ({
    method: send,
    message: field(4, repeated([...field(1, field(toolResult, repeated([(inResult << 3) | 2, 0x00], 250)))], 7_000)),
  }),
  "100 000 values of arguments": () => ({
    method: invoke,
    message: toBinary(InvokeToolRequestSchema, withArguments(fields(100_000))),
  }),
  "arguments 500 000 levels deep": () => ({
    method: invoke,
    message: toBinary(
      InvokeToolRequestSchema,
      create(InvokeToolRequestSchema, {
        call: {
          ...{ callId: requestId(), tool: "filesystem.list_directory", context: {} },
          argumentsJson: `{"a":${"[".repeat(500_000)}${"]".repeat(500_000)}}`,
        },
      }),
    ),
  }),
  "10 001 fields of a structure": () => ({
    method: update,
    message: toBinary(UpdateSessionRequestSchema, preferring(fields(10_001))),
  }),
  "a structure 33 levels deep": () => ({
    ...{ method: update, codec: "json" as const },
    message: Buffer.from(toJsonString(UpdateSessionRequestSchema, preferring(nested(33)))),
  }),
  "1 000 000 unknown fields": () => ({ method: send, message: repeated([0xf8, 0x7f, 0x01], 1_300_000) }),
  "10 000 labels": () => ({
    method: update,
    message: toBinary(
      UpdateSessionRequestSchema,
      create(UpdateSessionRequestSchema, {
        ...{ requestId: requestId(), sessionId, updateMask: { paths: ["labels"] } },
        session: { labels: Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`l${at}`, ""])) },
      }),
    ),
  }),
};

async function refusal(attack: Attack) {
  const call = { ...base(), ...attack };
  const answer = await callRaw(call);
  return { answer, refused: await refusalOfRaw(call) };
}

describe(`a request that is made of very much ${verifies("E5")}`, () => {
  test.each(Object.keys(attacks))("costs no more than itself: %s", async (name) => {
    const attack = attacks[name]?.() ?? expect.fail(name);
    const startedMs = performance.now();
    // Somebody else calls all the time.
    const waits: number[] = [];
    let isOver = false;
    const other = (async () => {
      while (!isOver) {
        const atMs = performance.now();
        await client.session.getSession({ by: { case: "sessionId", value: sessionId } });
        waits.push(performance.now() - atMs);
      }
    })();
    const { refused } = await refusal(attack);
    isOver = true;
    await other;
    expect(refused.code).toBe("InvalidArgument");
    expect(["FIELD_INVALID", "MALFORMED_MESSAGE", "TOOL_ARGUMENTS_INVALID"]).toContain(refused.reason);
    expect(refused.fields.length).toBeLessThanOrEqual(16);
    // Decoded, each of these holds the mesh for seconds where nothing else runs, and for half a minute beside other work.
    expect(Math.max(...waits)).toBeLessThan(5_000);
    process.stderr.write(
      `${name}: ${Math.round(performance.now() - startedMs)} ms for two, others at most ${Math.round(Math.max(...waits))} ms\n`,
    );
  });

  test("a hundred wrong names are told of as sixteen, within 8 KiB", async () => {
    const paths = Array.from({ length: 64 }, (_, at) => `${"wrong".repeat(60)}${at}`);
    const { answer, refused } = await refusal({
      method: update,
      message: toBinary(UpdateSessionRequestSchema, mask(paths)),
    });
    expect(refused.reason).toBe("FIELD_INVALID");
    expect(refused.fields.length).toBeLessThanOrEqual(16);
    // The details twice: as bytes in base64, and as JSON for people.
    expect(answer.body.length).toBeLessThan(24_576);
    const labels = Object.fromEntries(Array.from({ length: 32 }, (_, at) => [`a${at}`, "x".repeat(257)]));
    const message = toBinary(
      CreateSessionRequestSchema,
      create(CreateSessionRequestSchema, { requestId: requestId(), labels }),
    );
    const many = await refusal({ method: createMethod, message });
    expect(many.refused.fields).toHaveLength(16);
  });

  test("what is within the bounds is taken", async () => {
    const many = await callRaw({
      ...base(),
      ...{ method: update, message: toBinary(UpdateSessionRequestSchema, preferring(fields(1_000))) },
    });
    const deep = await callRaw({
      ...{ ...base(), method: update, codec: "json" as const },
      message: Buffer.from(toJsonString(UpdateSessionRequestSchema, preferring(nested(31)))),
    });
    expect([many.status, deep.status]).toEqual([200, 200]);
    const long = create(SendMessageRequestSchema, {
      requestId: requestId(),
      message: {
        content: Array.from({ length: 60 }, () => ({
          block: { case: "text" as const, value: { text: "x".repeat(60_000) } },
        })),
      },
    });
    const answer = await callRaw({ ...base(), method: send, message: toBinary(SendMessageRequestSchema, long) });
    expect(answer.status).toBe(200);
  });
});
