import { connect } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { Scope } from "../../../../gen/atoll/auth/v1/options_pb.ts";
import { GatewayService } from "../../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { GetSessionRequestSchema, SessionService } from "../../../../gen/atoll/session/v1/session_service_pb.ts";
import { principalOf, traceIdOf } from "../call-context.ts";
import {
  administrator,
  drained,
  failureOf,
  onBehalfOf,
  protocols,
  type ServedRpcs,
  served,
  serveRpcs,
  traceId,
} from "../served-rpcs.fixture.ts";

const request = { by: { case: "sessionId" as const, value: "ses_1" } };

/** Serves one unary RPC and one of each kind of stream, each of which tells who called. */
function serveWho(options = {}): Promise<ServedRpcs> {
  return serveRpcs(
    [
      served(SessionService, {
        getSession: (_request, context) => ({
          session: { sessionId: principalOf(context).name, title: traceIdOf(context) },
        }),
      }),
      served(GatewayService, {
        async *subscribe() {
          yield {};
        },
        async *chat(requests) {
          for await (const { requestId } of requests) yield { requestId };
        },
      }),
    ],
    options,
  );
}

describe.each(protocols)("the gate over %s", (protocol) => {
  it("refuses a call without a token and with a wrong one, and says no more", async () => {
    const mesh = await serveWho();
    for (const token of ["", "wrong", "eyJhbGciOiJub25lIn0.e30."]) {
      const transport = mesh.connect(protocol, token);
      const unary = await failureOf(createClient(SessionService, transport).getSession(request));
      expect(unary).toMatchObject({ code: Code.Unauthenticated, reason: "TOKEN_INVALID", metadata: {}, fields: [] });
      const stream = await failureOf(
        drained(createClient(GatewayService, transport).subscribe({ sessionId: "ses_1" })),
      );
      expect(stream).toMatchObject({ code: Code.Unauthenticated, reason: "TOKEN_INVALID", text: unary.text });
    }
  });

  it("names the scope that a token lacks", async () => {
    const mesh = await serveWho();
    const token = await mesh.tokens.sign("run", { ...administrator, scopes: new Set([Scope.TOOLS_CALL]) });
    const transport = mesh.connect(protocol, token);
    const refusal = { code: Code.PermissionDenied, reason: "SCOPE_MISSING", metadata: { scope: "SESSIONS_READ" } };
    expect(await failureOf(createClient(SessionService, transport).getSession(request))).toMatchObject(refusal);
    expect(
      await failureOf(drained(createClient(GatewayService, transport).subscribe({ sessionId: "ses_1" }))),
    ).toMatchObject(refusal);
  });

  it("slows an address down after its failures and says when to come back", async () => {
    const mesh = await serveWho({ maxFailedPerMinute: 2 });
    const wrong = createClient(SessionService, mesh.connect(protocol, "wrong"));
    for (let n = 0; n < 2; n++)
      expect(await failureOf(wrong.getSession(request))).toMatchObject({ reason: "TOKEN_INVALID" });
    const refusal = await failureOf(wrong.getSession(request));
    expect(refusal).toMatchObject({ code: Code.ResourceExhausted, reason: "LIMIT_EXCEEDED" });
    expect(refusal.retryAfterMs).toBeGreaterThan(50_000);
  });

  it("hands principal and trace to the handler, and makes a trace where none came", async () => {
    const client = createClient(SessionService, (await serveWho()).connect(protocol));
    const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
    const { session } = await client.getSession(request, { headers });
    expect(session).toMatchObject({ sessionId: "user:local", title: traceId });
    for (const bad of ["", "00-zz-1-01", `00-${"0".repeat(32)}-00f067aa0ba902b7-01`]) {
      const made = (await client.getSession(request, bad === "" ? {} : { headers: { traceparent: bad } })).session
        ?.title;
      expect(made).toMatch(/^[0-9a-f]{32}$/);
      expect(made).not.toBe("0".repeat(32));
    }
  });
});

describe("the gate in memory", () => {
  it("is the same gate", async () => {
    const client = createClient(SessionService, (await serveWho()).inMemory);
    expect(await failureOf(client.getSession(request))).toMatchObject({
      code: Code.Unauthenticated,
      reason: "TOKEN_INVALID",
    });
    const lacking = onBehalfOf({ ...administrator, scopes: new Set([Scope.TOOLS_CALL]) });
    expect(await failureOf(client.getSession(request, lacking))).toMatchObject({
      code: Code.PermissionDenied,
      reason: "SCOPE_MISSING",
    });
    const { session } = await client.getSession(request, onBehalfOf(administrator));
    expect(session).toMatchObject({ sessionId: "user:ada", title: traceId });
  });
});

// Requests as no client library writes them.

const unaryPath = "/atoll.session.v1.SessionService/GetSession";
const serverStreamPath = "/atoll.gateway.v1.GatewayService/Subscribe";
const bidiPath = "/atoll.gateway.v1.GatewayService/Chat";
const valid = toBinary(GetSessionRequestSchema, create(GetSessionRequestSchema, request));
/** Field 15 as a text of 100 bytes, of which two are there. */
const malformed = Buffer.from([0x7a, 100, 1, 2]);

function frame(bytes: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

interface Answer {
  readonly status: string;
  readonly grpcStatus: string;
  /** Body, headers and trailers, for a look at the reason. */
  readonly text: string;
}

async function post(mesh: ServedRpcs, path: string, headers: Record<string, string>, body: Buffer): Promise<Answer> {
  const session = connect(mesh.listener.url);
  onTestFinished(() => session.destroy());
  const authorization = `Bearer atl_${"t".repeat(43)}`;
  const stream = session.request({ ":method": "POST", ":path": path, authorization, te: "trailers", ...headers });
  const seen: Record<string, string | undefined> = {};
  stream.on("response", (received) => Object.assign(seen, received));
  stream.on("trailers", (received) => Object.assign(seen, received));
  stream.end(body);
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  session.close();
  const details = Buffer.from(seen["grpc-status-details-bin"] ?? "", "base64").toString("latin1");
  const text = `${Buffer.concat(chunks).toString("latin1")} ${details}`;
  const inBody = /grpc-status: ?(\d+)/i.exec(text)?.[1] ?? "";
  return {
    status: String(seen[":status"]),
    grpcStatus: seen["grpc-status"] ?? inBody,
    text: withDetails(text),
  };
}

/** Connect writes the details as base64 inside JSON, gRPC-Web as base64 in its trailer frame. */
function withDetails(text: string): string {
  const encoded = [...text.matchAll(/"value":\s*"([^"]+)"|grpc-status-details-bin: ?(\S+)/gi)];
  return [text, ...encoded.map((match) => Buffer.from(match[1] ?? match[2] ?? "", "base64").toString("latin1"))].join(
    " ",
  );
}

const connectVersion = { "connect-protocol-version": "1" };
const unaryWays = [
  ["Connect", { "content-type": "application/proto", ...connectVersion }, (bytes: Buffer) => bytes],
  ["gRPC", { "content-type": "application/grpc+proto" }, (bytes: Buffer) => frame(bytes)],
  ["gRPC-Web", { "content-type": "application/grpc-web+proto" }, (bytes: Buffer) => frame(bytes)],
] as const;
const streamWays = [
  ["Connect", { "content-type": "application/connect+proto", ...connectVersion }, (bytes: Buffer) => frame(bytes)],
  ["gRPC", { "content-type": "application/grpc+proto" }, (bytes: Buffer) => frame(bytes)],
  ["gRPC-Web", { "content-type": "application/grpc-web+proto" }, (bytes: Buffer) => frame(bytes)],
] as const;

describe("a request that can't be decoded", () => {
  it.each(unaryWays)("is the caller's fault over %s, unary", async (protocol, headers, wrap) => {
    const mesh = await serveWho();
    const good = await post(mesh, unaryPath, headers, wrap(Buffer.from(valid)));
    expect(good).toMatchObject({ status: "200", grpcStatus: protocol === "Connect" ? "" : "0" });
    const { status, grpcStatus, text } = await post(mesh, unaryPath, headers, wrap(malformed));
    expect(protocol === "Connect" ? status : grpcStatus).toBe(
      protocol === "Connect" ? "400" : String(Code.InvalidArgument),
    );
    expect(text).toContain("MALFORMED_MESSAGE");
  });

  it.each(
    streamWays.flatMap(([name, ...rest]) => [serverStreamPath, bidiPath].map((path) => [name, path, ...rest] as const)),
  )("is the caller's fault over %s on %s", async (protocol, path, headers, wrap) => {
    const { grpcStatus, text } = await post(await serveWho(), path, headers, wrap(malformed));
    expect(text).toContain("MALFORMED_MESSAGE");
    if (protocol === "Connect") expect(text).toContain('"invalid_argument"');
    else expect(grpcStatus).toBe(String(Code.InvalidArgument));
  });

  it("in JSON is told apart: no JSON, a field that does not exist, a value of the wrong kind", async () => {
    const mesh = await serveWho();
    const headers = { "content-type": "application/json", ...connectVersion };
    for (const body of [
      "{",
      "[]",
      '"x"',
      "",
      '{"sessionId": 5}',
      `${"[".repeat(20_000)}`,
      '{"sessionId":"ses_1","sessionId":"ses_2"',
    ]) {
      const { status, text } = await post(mesh, unaryPath, headers, Buffer.from(body));
      expect(status, body.slice(0, 40)).toBe("400");
      expect(text, body.slice(0, 40)).toMatch(/MALFORMED_MESSAGE|FIELD_INVALID/);
    }
    for (const key of ["sessionIdd", "__proto__", "constructor"]) {
      const { status, text } = await post(
        mesh,
        unaryPath,
        headers,
        Buffer.from(`{"sessionId":"ses_1","${key}":{"polluted":true}}`),
      );
      expect([status, key]).toEqual(["400", key]);
      expect(text).toContain("MALFORMED_MESSAGE");
      expect(text).toContain(key);
    }
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  it("names the field that does not exist as a field path", async () => {
    const mesh = await serveWho();
    const session = connect(mesh.listener.url);
    onTestFinished(() => session.destroy());
    const { text } = await post(
      mesh,
      unaryPath,
      { "content-type": "application/json", ...connectVersion },
      Buffer.from('{"sessionId":"ses_1","colour":"red"}'),
    );
    expect(text).toContain("google.rpc.BadRequest");
    expect(text).toContain("there is no such field");
  });

  it("of another content type is 415", async () => {
    const mesh = await serveWho();
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
      expect((await post(mesh, unaryPath, { "content-type": type }, Buffer.from("{}"))).status).toBe("415");
    }
  });
});

describe("a request that is too large", () => {
  const tooLarge = Buffer.alloc(65_537);
  const bomb = gzipSync(Buffer.alloc(50_000_000));

  it.each(unaryWays)(
    "is refused with its limit over %s, unary, plain and inflated",
    async (protocol, headers, wrap) => {
      const mesh = await serveWho();
      const encoding = protocol === "Connect" ? "content-encoding" : "grpc-encoding";
      const packed = protocol === "Connect" ? bomb : frame(bomb, 1);
      for (const [extra, body] of [
        [{}, wrap(tooLarge)],
        [{ [encoding]: "gzip" }, packed],
      ] as const) {
        const { status, grpcStatus, text } = await post(mesh, unaryPath, { ...headers, ...extra }, body);
        expect(protocol === "Connect" ? status : grpcStatus).toBe(
          protocol === "Connect" ? "429" : String(Code.ResourceExhausted),
        );
        expect(text).toContain("MESSAGE_TOO_LARGE");
        expect(text).toContain("65536");
      }
    },
  );

  it.each(streamWays)("is refused with its limit over %s, on a stream", async (protocol, headers, wrap) => {
    const mesh = await serveWho();
    const encoding = protocol === "Connect" ? "connect-content-encoding" : "grpc-encoding";
    for (const [extra, body] of [
      [{}, wrap(Buffer.alloc(4_194_305))],
      [{ [encoding]: "gzip" }, frame(bomb, 1)],
    ] as const) {
      const { grpcStatus, text } = await post(mesh, bidiPath, { ...headers, ...extra }, body);
      expect(text).toContain("MESSAGE_TOO_LARGE");
      expect(text).toContain("4194304");
      if (protocol !== "Connect") expect(grpcStatus).toBe(String(Code.ResourceExhausted));
    }
  });

  it("is refused by the five bytes that announce it", async () => {
    const mesh = await serveWho();
    const announced = Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]);
    const { text } = await post(mesh, bidiPath, { "content-type": "application/grpc+proto" }, announced);
    expect(text).toMatch(/MESSAGE_TOO_LARGE/);
  });
});
