import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect as http2Connect } from "node:http2";
import { createServer } from "node:net";
import { connect as tlsConnect } from "node:tls";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../../../gen/grpc/health/v1/health_pb.ts";
import { kindsOf, openEdge, openRawPeer, portOf } from "../edge/edge.fixture.ts";
import { createSelfSignedCertificate } from "../self-signed.fixture.ts";
import { ListenError } from "./listen-error.ts";
import { listen } from "./listener.ts";
import { defaultListenerLimits } from "./listener-limits.ts";

const checkPath = "/grpc.health.v1.Health/Check";
const jsonBody = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
const certificate = createSelfSignedCertificate();

describe("one port", () => {
  it.each([
    ["Connect over HTTP/1.1", (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
    ["Connect over h2c", (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "2" })],
    ["gRPC over h2c", (baseUrl: string) => createGrpcTransport({ baseUrl })],
    ["gRPC-Web over HTTP/1.1", (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  ])("answers %s, unary and streaming", async (_name, createTransport) => {
    const { listener, board } = await openEdge();
    const client = createClient(Health, createTransport(listener.url));
    expect(await client.check({})).toMatchObject({ status: Status.SERVING });

    const abort = new AbortController();
    const seen: Status[] = [];
    try {
      for await (const { status } of client.watch({}, { signal: abort.signal })) {
        seen.push(status);
        if (seen.length === 1) board.setAll("not_serving");
        else abort.abort();
      }
    } catch {
      // The abort ends the stream with an error.
    }
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
  });

  it.each([
    ["h2", createGrpcTransport],
    [
      "h2",
      (options: { baseUrl: string; nodeOptions: object }) => createConnectTransport({ ...options, httpVersion: "2" }),
    ],
    [
      "http/1.1",
      (options: { baseUrl: string; nodeOptions: object }) => createConnectTransport({ ...options, httpVersion: "1.1" }),
    ],
  ])("agrees on %s by ALPN over TLS", async (protocol, createTransport) => {
    const { listener } = await openEdge({}, { tls: certificate });
    expect(listener.url).toBe(`https://127.0.0.1:${listener.port}`);
    const nodeOptions = { ca: certificate.cert };
    const client = createClient(Health, createTransport({ baseUrl: listener.url, nodeOptions }));
    expect(await client.check({})).toMatchObject({ status: Status.SERVING });

    const socket = tlsConnect({
      port: listener.port,
      host: "127.0.0.1",
      ca: certificate.cert,
      ALPNProtocols: [protocol],
    });
    await once(socket, "secureConnect");
    expect(socket.alpnProtocol).toBe(protocol);
    socket.destroy();
  });

  it("refuses plaintext when it has a certificate, and says so to HTTP/1.1", async () => {
    const edge = await openEdge({}, { tls: certificate });
    const peer = await openRawPeer(edge);
    peer.socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await peer.closed;
    expect(peer.received()).toMatch(/^HTTP\/1\.1 400 .*https/s);
    expect(kindsOf(edge.faults)).toEqual(["PLAINTEXT_REFUSED"]);
  });

  it("closes a TLS client when it has no certificate", async () => {
    const edge = await openEdge();
    const socket = tlsConnect({ port: edge.listener.port, host: "127.0.0.1" });
    await once(socket, "error");
    expect(kindsOf(edge.faults)).toEqual(["TLS_NOT_CONFIGURED"]);
  });

  it("reports a failed handshake with its reason and forgets the connection", async () => {
    const edge = await openEdge({}, { tls: certificate });
    const socket = tlsConnect({
      port: edge.listener.port,
      host: "127.0.0.1",
      ca: certificate.cert,
      maxVersion: "TLSv1.1",
      ciphers: "ALL:@SECLEVEL=0",
      minVersion: "TLSv1",
    });
    await once(socket, "error");
    await expect.poll(() => edge.listener.connections()).toBe(0);
    expect(edge.faults).toMatchObject([{ kind: "TLS_HANDSHAKE_FAILED", detail: expect.stringMatching(/protocol/i) }]);
  });

  it.each([
    ["HTTP/1.1", `POST ${checkPath} HTTP/1.1\r\nHost: localhost\r\n${jsonBody}`, '"SERVING"'],
    // The preface and an empty SETTINGS frame, answered with the acknowledgement of it.
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0", "\0\0\0\u0004\u0001\0\0\0\0"],
  ])("reads %s whose bytes arrive one by one", async (_name, bytes, answer) => {
    const peer = await openRawPeer(await openEdge());
    peer.socket.setNoDelay(true);
    for (const byte of bytes) {
      peer.socket.write(byte, "latin1");
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(peer.received).toContain(answer);
  });

  it("answers 500 and lives on when a handler throws", async () => {
    const edge = await openEdge(
      {},
      {
        onRequest: () => {
          throw new Error("boom");
        },
      },
    );
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const request = httpRequest(edge.listener.url).end();
      const [response] = await once(request, "response");
      expect(response.statusCode).toBe(500);
      response.resume();
    }
    expect(edge.faults[0]).toMatchObject({ kind: "HANDLER_THREW", detail: "Error: boom" });
  });

  it("sends a host that is no URL to 500, not to a crash", async () => {
    const edge = await openEdge();
    const peer = await openRawPeer(edge);
    peer.socket.write(
      "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: a b[\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    );
    await peer.closed;
    expect(peer.received()).toMatch(/^HTTP\/1\.1 [45]00/);
  });

  it("announces its HTTP/2 settings", async () => {
    const { listener } = await openEdge();
    const session = http2Connect(listener.url);
    onTestFinished(() => session.destroy());
    const [settings] = await once(session, "remoteSettings");
    expect(settings).toMatchObject({
      maxConcurrentStreams: 100,
      initialWindowSize: 65_536,
      maxHeaderListSize: 16_384,
      enablePush: false,
    });
  });
});

describe("a port that cannot be opened", () => {
  const open = (host: string, port: number) =>
    listen({ host, port, limits: defaultListenerLimits, isClientStreaming: () => false, onRequest: () => undefined });

  it("says that it is in use and how to choose another", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await once(other, "listening");
    const failure = await open("127.0.0.1", portOf(other)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ListenError);
    expect(failure).toMatchObject({
      reason: "PORT_IN_USE",
      port: portOf(other),
      message: expect.stringMatching(/already in use.*ATOLL_LISTEN.*--listen/),
    });
  });

  it("says that the address is not ours", async () => {
    await expect(open("192.0.2.1", 0)).rejects.toMatchObject({ reason: "ADDRESS_UNAVAILABLE" });
  });
});
