/** Requests that say two things, say nothing, are too large, or whose sender leaves: answered at once and quietly. */
import { Code, ConnectError, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { callRaw, protocols, refusalOfRaw } from "../e2e/raw-calls.fixture.ts";
import { verifies } from "../requirements.ts";
import { checkReasons } from "../support/check-reasons.ts";
import type { MeshProcess } from "../support/mesh-process.ts";
import { startMeshProcess } from "../support/mesh-process.ts";
import { openHttp2, openSocket } from "./attack.fixture.ts";
import { frame, preface, requestHeaders } from "./attack-frames.ts";

vi.setConfig({ testTimeout: 120_000 });

let mesh: MeshProcess;
beforeAll(async () => {
  const config = { mcpServers: { filesystem: { disabled: true } }, log: { level: "debug" } };
  mesh = await startMeshProcess({ config: JSON.stringify(config) });
}, 120_000);
afterAll(() => mesh.stop("SIGKILL"));

const listAgents = "/atoll.agent.v1.AgentService/ListAgents";

/** Sends text over a socket and gives the first line that comes back, or "" when it is closed without one. */
async function ask(text: string): Promise<string> {
  const { socket, received, closed } = await openSocket(mesh);
  socket.write(text);
  await Promise.race([closed, expect.poll(received, { timeout: 20_000 }).toMatch(/\r\n/)]);
  return received().split("\r\n", 1)[0] ?? "";
}

function authority(): string {
  return new URL(mesh.url).host;
}

describe(`whom a request is for ${verifies("E18")}`, () => {
  test.each([
    ["two Host headers", () => `GET / HTTP/1.1\r\nHost: ${authority()}\r\nHost: evil.example\r\n\r\n`, "400"],
    ["two equal Host headers", () => `GET / HTTP/1.1\r\nHost: ${authority()}\r\nhost: ${authority()}\r\n\r\n`, "400"],
    ["no Host", () => "GET / HTTP/1.1\r\n\r\n", "400"],
    [
      "a whole address that Host contradicts",
      () => `GET http://evil.example/ HTTP/1.1\r\nHost: ${authority()}\r\n\r\n`,
      "400",
    ],
    ["a whole address of ours", () => `GET http://${authority()}/ HTTP/1.1\r\nHost: ${authority()}\r\n\r\n`, "200"],
    ["another host", () => "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421"],
    [
      "a length and chunks",
      () =>
        `POST ${listAgents} HTTP/1.1\r\nHost: ${authority()}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      "400",
    ],
    [
      "two lengths",
      () => `POST ${listAgents} HTTP/1.1\r\nHost: ${authority()}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n`,
      "400",
    ],
  ])("%s", async (_name, text, status) => {
    expect(await ask(text())).toContain(` ${status} `);
  });

  test("HTTP/2: a host beside another :authority", async () => {
    for (const [host, status] of [
      ["evil.example", 400],
      [authority(), 200],
    ] as const) {
      const stream = openHttp2(mesh).request({ ":path": "/", ":authority": authority(), host });
      const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once("response", resolve));
      expect(headers[":status"], host).toBe(status);
    }
  });
});

/** RST_STREAM of stream 1, or GOAWAY, without what follows. */
const ends = [
  frame("reset", 0, 1, Buffer.alloc(4)).subarray(0, 9).toString("latin1"),
  Buffer.from("0700000000000000", "hex").subarray(0, 6).toString("latin1"),
];

describe(`an oversize request over HTTP/2 ${verifies("E18", "F4")}`, () => {
  test.each([
    [
      "a stated length over the bound",
      { "content-length": "99999999", "content-type": "application/proto", "connect-protocol-version": "1" },
    ],
    [
      "a stated length without a token",
      { "content-length": "99999999", "content-type": "application/proto", authorization: "" },
    ],
    ["headers over the bound", { "x-large": "x".repeat(17_000) }],
    ["a message over gRPC that is announced too large", { "content-type": "application/grpc", te: "trailers" }],
  ])("%s: answered at once, and the stream is free", async (_name, headers) => {
    const { socket, received } = await openSocket(mesh);
    const all = { authorization: `Bearer ${mesh.token}`, ...headers };
    socket.write(preface());
    // More than one frame's worth of headers goes on in CONTINUATION.
    const block = requestHeaders(mesh, listAgents, all);
    socket.write(frame("headers", block.length > 16_000 ? 0 : 4, 1, block.subarray(0, 16_000)));
    if (block.length > 16_000) socket.write(frame("continuation", 4, 1, block.subarray(16_000)));
    socket.write(frame("data", 0, 1, Buffer.from([0, 0x7f, 0xff, 0xff, 0xff, 1])));
    const startMs = performance.now();
    await expect.poll(() => ends.some((end) => received().includes(end)), { timeout: 9_000 }).toBe(true);
    console.info(`freed after ${Math.round(performance.now() - startMs)} ms`);
  });
});

describe(`deadlines ${verifies("E14", "FE1")}`, () => {
  test.each(["0", "1", "00000"])(
    "garbage with connect-timeout-ms: %s is the caller's fault, in our words",
    async (timeout) => {
      const refusal = await refusalOfRaw({
        ...{ url: mesh.url, token: mesh.token, method: listAgents.slice(1), protocol: "connect" },
        message: Buffer.from([0xff, 0xff, 0xff]),
        headers: { "connect-timeout-ms": timeout },
      });
      expect(refusal).toMatchObject({ code: "InvalidArgument", reason: "MALFORMED_MESSAGE" });
    },
  );

  test.each([
    ["connect", "connect-timeout-ms", "-1"],
    ["connect", "connect-timeout-ms", "soon"],
    ["connect", "connect-timeout-ms", "99999999999"],
    ["grpc", "grpc-timeout", "-1S"],
    ["grpc", "grpc-timeout", "1"],
    ["grpc", "grpc-timeout", "12345678901234567S"],
    ["grpc-web", "grpc-timeout", "soon"],
  ] as const)("%s: %s: %s is refused by name", async (protocol, name, value) => {
    const refusal = await refusalOfRaw({
      ...{ url: mesh.url, token: mesh.token, method: listAgents.slice(1), protocol, message: new Uint8Array() },
      headers: { [name]: value },
    });
    expect(refusal).toMatchObject({ code: "InvalidArgument", reason: "MALFORMED_MESSAGE" });
  });

  test.each(protocols)("%s: a deadline of nothing is over, with a reason", async (protocol) => {
    const headers = protocol === "connect" ? { "connect-timeout-ms": "0" } : { "grpc-timeout": "0n" };
    const refusal = await refusalOfRaw({
      ...{
        url: mesh.url,
        token: mesh.token,
        method: listAgents.slice(1),
        protocol,
        message: new Uint8Array(),
        headers,
      },
    });
    expect(refusal).toMatchObject({ code: "DeadlineExceeded", reason: "DEADLINE_EXCEEDED" });
  });

  test.each([
    ["connect", "connect-timeout-ms", "2147483648"],
    ["connect", "connect-timeout-ms", "9999999999"],
    ["grpc", "grpc-timeout", "2147484S"],
    ["grpc", "grpc-timeout", "99999999H"],
    ["grpc", "grpc-timeout", "99999999M"],
    // Two digits more than the protocol has: what generated TypeScript clients send.
    ["grpc", "grpc-timeout", "2000000000m"],
    ["grpc-web", "grpc-timeout", "99999999H"],
  ] as const)("%s: %s: %s is no deadline at once", async (protocol, name, value) => {
    const answer = await callRaw({
      ...{ url: mesh.url, token: mesh.token, method: listAgents.slice(1), protocol, message: new Uint8Array() },
      headers: { [name]: value },
    });
    expect(answer.status).toBe(200);
    expect(answer.body.length).toBeGreaterThan(5);
    expect(answer.trailers["grpc-status"] ?? "0").toBe("0");
  });

  test("a client's own library, with a deadline of a hundred days, over both protocols", async () => {
    for (const transport of [transportOf("connect"), transportOf("grpc")]) {
      const { sessions } = await createClient(SessionService, transport).listSessions({}, { timeoutMs: 2_000_000_000 });
      expect(sessions).toBeDefined();
    }
  });
});

test(`who leaves a Chat leaves no trace but a line of JSON at debug ${verifies("E18", "L9")}`, async () => {
  for (const transport of [transportOf("connect"), transportOf("grpc")]) {
    const control = new AbortController();
    const gateway = createClient(GatewayService, transport);
    const requests = (async function* () {
      yield {
        requestId: "o",
        action: {
          case: "open" as const,
          value: { session: { case: "sessionKey" as const, value: "agent:main:cli" } },
        },
      };
      await new Promise((resolve) => setTimeout(resolve, 60_000).unref());
    })();
    const reading = (async () => {
      for await (const _ of gateway.chat(requests, { signal: control.signal })) control.abort();
    })();
    expect(await reading.catch((error: unknown) => ConnectError.from(error).code)).toBe(Code.Canceled);
  }
  // Killed in the middle of an answer, over HTTP/1.1.
  const { socket } = await openSocket(mesh);
  socket.write(
    `POST ${listAgents} HTTP/1.1\r\nHost: ${authority()}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{`,
  );
  socket.resetAndDestroy();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  for (const line of mesh
    .log()
    .split("\n")
    .filter((each) => each !== "" && !each.startsWith("---"))) {
    expect(() => JSON.parse(line), line).not.toThrow();
    expect(JSON.parse(line).level, line).not.toBe("error");
  }
});

describe(`plain JSON ${verifies("E14")}`, () => {
  const plain = async (headers: Record<string, string>): Promise<number> => {
    const answer = await fetch(`${mesh.url}${listAgents}`, {
      method: "POST",
      body: "{}",
      headers: { "content-type": "application/json", ...headers },
    });
    return answer.status;
  };
  test("with a bearer token needs no version of Connect; with a cookie it does", async () => {
    const authorization = `Bearer ${mesh.token}`;
    expect(await plain({ authorization })).toBe(200);
    expect(await plain({ authorization, cookie: "a=b" })).toBe(400);
    expect(await plain({ authorization, cookie: "a=b", "connect-protocol-version": "1" })).toBe(200);
    expect(await plain({ authorization: "Basic x" })).toBe(401);
    expect(await plain({ authorization, "content-type": "text/plain" })).toBe(415);
  });
});

function transportOf(protocol: "connect" | "grpc"): Transport {
  const authorize: Interceptor = (next) => (call) => {
    call.header.set("authorization", `Bearer ${mesh.token}`);
    return next(call);
  };
  const options = { baseUrl: mesh.url, interceptors: [authorize] };
  return checkReasons(
    protocol === "grpc" ? createGrpcTransport(options) : createConnectTransport({ ...options, httpVersion: "2" }),
  );
}
