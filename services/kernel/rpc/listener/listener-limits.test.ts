// Hostile peers against small limits: each is refused or cut off, each is reported, and the others are served.
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, constants, connect as http2Connect } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { expect, it, onTestFinished } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../../../gen/grpc/health/v1/health_pb.ts";
import { type Edge, kindsOf, openEdge, openRawPeer } from "../edge/edge.fixture.ts";

const checkPath = "/grpc.health.v1.Health/Check";
const check = `POST ${checkPath} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n`;

function openSession({ listener }: Edge): ClientHttp2Session {
  const session = http2Connect(listener.url);
  session.on("error", () => undefined);
  onTestFinished(() => session.destroy());
  return session;
}

/** once() would reject with the error that these peers have earned. */
function closeOf(emitter: ClientHttp2Session | ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => emitter.once("close", () => resolve()));
}

async function expectServing(edge: Edge): Promise<void> {
  const client = createClient(Health, createConnectTransport({ baseUrl: edge.listener.url, httpVersion: "1.1" }));
  expect(await client.check({})).toMatchObject({ status: Status.SERVING });
}

it("closes a connection that says nothing", async () => {
  const edge = await openEdge({ sniffTimeoutMs: 50 });
  const peer = await openRawPeer(edge);
  await peer.closed;
  expect(edge.faults).toMatchObject([{ kind: "SNIFF_TIMEOUT", remoteAddress: "127.0.0.1", count: 1 }]);
  await expect.poll(() => edge.listener.connections()).toBe(0);
});

it("closes a connection that shows half of the HTTP/2 preface", async () => {
  const edge = await openEdge({ sniffTimeoutMs: 50 });
  const peer = await openRawPeer(edge);
  peer.socket.write("PRI * HT");
  await peer.closed;
  expect(kindsOf(edge.faults)).toEqual(["SNIFF_TIMEOUT"]);
});

it("closes an HTTP/2 connection that never asks", async () => {
  const edge = await openEdge({ firstRequestTimeoutMs: 100 });
  const session = openSession(edge);
  await closeOf(session);
  expect(kindsOf(edge.faults)).toEqual(["FIRST_REQUEST_TIMEOUT"]);
});

it("closes a peer that drips its first headers", async () => {
  const edge = await openEdge({ firstRequestTimeoutMs: 150 });
  const peer = await openRawPeer(edge);
  peer.socket.write("POST /x HTTP/1.1\r\n");
  const drip = setInterval(() => peer.socket.write("X-Drip: 1\r\n"), 20);
  await peer.closed;
  clearInterval(drip);
  expect(kindsOf(edge.faults)).toEqual(["FIRST_REQUEST_TIMEOUT"]);
});

it("answers 408 to a peer that drips the headers of a later request", async () => {
  const edge = await openEdge({ http1HeadersTimeoutMs: 100, http1TimeoutCheckIntervalMs: 20 });
  const peer = await openRawPeer(edge);
  peer.socket.write(`${check}\r\n{}`);
  await expect.poll(peer.received).toContain("SERVING");
  peer.socket.write("POST /x HTTP/1.1\r\n");
  await peer.closed;
  expect(peer.received()).toContain("HTTP/1.1 408");
  expect(kindsOf(edge.faults)).toEqual(["HTTP1_TIMEOUT"]);
});

it("cuts off an HTTP/1.1 body that drips", async () => {
  const edge = await openEdge({ requestBodyTimeoutMs: 100 });
  const peer = await openRawPeer(edge);
  peer.socket.write(`${check}\r\n{`);
  await peer.closed;
  expect(edge.faults).toMatchObject([{ kind: "REQUEST_BODY_TIMEOUT", detail: expect.stringContaining(checkPath) }]);
});

it("cuts off an HTTP/2 body that drips and serves the connection's other streams", async () => {
  const edge = await openEdge({ requestBodyTimeoutMs: 100 });
  const session = openSession(edge);
  const dripping = session.request({ ":method": "POST", ":path": checkPath, "content-type": "application/grpc" });
  dripping.on("error", () => undefined);
  dripping.write(Buffer.from([0, 0, 0, 0]));
  await closeOf(dripping);
  expect(dripping.rstCode).toBe(constants.NGHTTP2_CANCEL);
  expect(kindsOf(edge.faults)).toEqual(["REQUEST_BODY_TIMEOUT"]);

  const other = session.request({ ":method": "POST", ":path": checkPath, "content-type": "application/json" });
  other.end("{}");
  const [headers] = await once(other, "response");
  expect(headers[":status"]).toBe(200);
});

it("lets a client-streaming request stay open past the request deadlines", async () => {
  const edge = await openEdge({ requestBodyTimeoutMs: 50, firstRequestTimeoutMs: 50 });
  const session = openSession(edge);
  const stream = session.request({
    ":method": "POST",
    ":path": "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "content-type": "application/grpc",
    te: "trailers",
  });
  await new Promise((resolve) => setTimeout(resolve, 150));
  // An empty request message: it is answered, so the stream was alive.
  stream.end(Buffer.from([0, 0, 0, 0, 0]));
  const [chunk] = await once(stream, "data");
  expect(chunk.length).toBeGreaterThan(5);
  expect(edge.faults).toEqual([]);
});

it("lets a server stream outlive every request deadline on HTTP/1.1", async () => {
  const edge = await openEdge({
    requestBodyTimeoutMs: 60,
    firstRequestTimeoutMs: 60,
    http1HeadersTimeoutMs: 60,
    http1RequestTimeoutMs: 60,
    http1TimeoutCheckIntervalMs: 20,
    keepAliveTimeoutMs: 60,
  });
  const client = createClient(Health, createConnectTransport({ baseUrl: edge.listener.url, httpVersion: "1.1" }));
  const stream = client.watch({})[Symbol.asyncIterator]();
  expect((await stream.next()).value).toMatchObject({ status: Status.SERVING });
  await new Promise((resolve) => setTimeout(resolve, 250));
  edge.board.setAll("not_serving");
  expect((await stream.next()).value).toMatchObject({ status: Status.NOT_SERVING });
  expect(edge.faults).toEqual([]);
  edge.board.close();
});

it("answers 431 to HTTP/1.1 headers over the byte limit", async () => {
  const edge = await openEdge();
  const peer = await openRawPeer(edge);
  peer.socket.write(`${check}X-Bomb: ${"x".repeat(17_000)}\r\n\r\n{}`);
  await peer.closed;
  expect(peer.received()).toMatch(/^HTTP\/1\.1 431/);
  expect(kindsOf(edge.faults)).toEqual(["HEADERS_TOO_LARGE"]);
});

it("answers 431 to too many HTTP/1.1 headers instead of dropping some", async () => {
  const edge = await openEdge();
  const send = async (extraHeaders: number): Promise<string> => {
    const peer = await openRawPeer(edge);
    // With Host, Content-Type, Content-Length and Connection.
    peer.socket.write(`${check}Connection: close\r\n${"X-Pair: 1\r\n".repeat(extraHeaders)}\r\n{}`);
    await peer.closed;
    return peer.received();
  };
  expect(await send(60)).toMatch(/^HTTP\/1\.1 200/);
  expect(await send(61)).toMatch(/^HTTP\/1\.1 431/);
  expect(await send(500)).toMatch(/^HTTP\/1\.1 431/);
  expect(kindsOf(edge.faults)).toEqual(["HEADERS_TOO_LARGE"]);
});

it("answers 431 to HTTP/2 headers over the byte limit, also before the peer has acknowledged it", async () => {
  const edge = await openEdge();
  const session = openSession(edge);
  const bomb = session.request({ ":method": "POST", ":path": checkPath, "x-bomb": "x".repeat(17_000) });
  bomb.on("error", () => undefined);
  const [headers] = await once(bomb, "response");
  expect(headers[":status"]).toBe(431);
  expect(kindsOf(edge.faults)).toEqual(["HEADERS_TOO_LARGE"]);
  await expectServing(edge);
});

it("resets an HTTP/2 request with too many header pairs and serves the next", async () => {
  const edge = await openEdge();
  const session = openSession(edge);
  const pairs = Object.fromEntries(Array.from({ length: 70 }, (_, index) => [`x-${index}`, "1"]));
  const bomb = session.request({ ":method": "POST", ":path": checkPath, ...pairs });
  bomb.on("error", () => undefined);
  await closeOf(bomb);
  expect(bomb.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  const next = session.request({ ":method": "POST", ":path": checkPath, "content-type": "application/json" });
  next.end("{}");
  const [headers] = await once(next, "response");
  expect(headers[":status"]).toBe(200);
});

it("answers 400 to what is not HTTP", async () => {
  const edge = await openEdge();
  const peer = await openRawPeer(edge);
  peer.socket.write("\0\0\0 hello\r\n\r\n");
  await peer.closed;
  expect(peer.received()).toMatch(/^HTTP\/1\.1 400/);
  expect(kindsOf(edge.faults)).toEqual(["HTTP1_PROTOCOL_ERROR"]);
});

it("closes an HTTP/2 connection that breaks the protocol", async () => {
  const edge = await openEdge();
  const peer = await openRawPeer(edge);
  // A DATA frame on stream 0 is a connection error.
  peer.socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0\0\0\u0001\0\0\0\0\0\0x", "latin1");
  await peer.closed;
  expect(kindsOf(edge.faults)).toEqual(["HTTP2_PROTOCOL_ERROR"]);
});

it("closes a connection that resets its streams in a flood", async () => {
  const edge = await openEdge({ streamResetBurst: 20, streamResetsPerSecond: 1 });
  const session = openSession(edge);
  await once(session, "connect");
  const flood = setInterval(() => {
    if (session.destroyed || session.closed) return;
    for (let count = 0; count < 20; count += 1) {
      const stream = session.request({ ":method": "POST", ":path": checkPath });
      stream.on("error", () => undefined);
      stream.close(constants.NGHTTP2_CANCEL);
    }
  }, 5);
  await closeOf(session);
  clearInterval(flood);
  await expectServing(edge);
  await expect.poll(() => kindsOf(edge.faults)).toContain("HTTP2_PROTOCOL_ERROR");
});

it("refuses connections over the limit of one address and takes the next when one has gone", async () => {
  const edge = await openEdge({ maxConnectionsPerAddress: 2 });
  const first = await openRawPeer(edge);
  await openRawPeer(edge);
  await expect.poll(() => edge.listener.connections()).toBe(2);
  const third = await openRawPeer(edge);
  await third.closed;
  expect(edge.faults).toMatchObject([{ kind: "ADDRESS_LIMIT", remoteAddress: "127.0.0.1", count: 1 }]);
  first.socket.destroy();
  await expect.poll(() => edge.listener.connections()).toBe(1);
  await expectServing(edge);
});

it("bundles the reports of a flood and loses none", async () => {
  const edge = await openEdge({ maxConnections: 1, faultWindowMs: 50 });
  await openRawPeer(edge);
  await expect.poll(() => edge.listener.connections()).toBe(1);
  for (let attempt = 0; attempt < 20; attempt += 1) await (await openRawPeer(edge)).closed;
  const total = (): number => edge.faults.reduce((sum, { count }) => sum + count, 0);
  await expect.poll(total).toBe(20);
  expect(kindsOf(edge.faults)).toEqual(["CONNECTION_LIMIT"]);
  expect(edge.faults.length).toBeLessThan(20);
});

it("destroys an HTTP/2 connection whose peer does not answer PING", async () => {
  const edge = await openEdge({ pingIntervalMs: 50, pingTimeoutMs: 50 });
  const peer = await openRawPeer(edge);
  // Preface, SETTINGS and nothing ever after, as if the cable were cut.
  peer.socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0", "latin1");
  await peer.closed;
  expect(kindsOf(edge.faults)).toEqual(["PEER_SILENT"]);
});

it("keeps an HTTP/2 connection whose peer answers PING", async () => {
  const edge = await openEdge({ pingIntervalMs: 20, pingTimeoutMs: 500 });
  const client = createClient(Health, createGrpcTransport({ baseUrl: edge.listener.url }));
  const stream = client.watch({})[Symbol.asyncIterator]();
  await stream.next();
  await new Promise((resolve) => setTimeout(resolve, 200));
  edge.board.setAll("not_serving");
  expect((await stream.next()).value).toMatchObject({ status: Status.NOT_SERVING });
  expect(edge.faults).toEqual([]);
  edge.board.close();
});

it("sends GOAWAY to an idle HTTP/2 connection", async () => {
  const edge = await openEdge({ http2IdleTimeoutMs: 50 });
  const session = openSession(edge);
  const goaway = once(session, "goaway");
  session.request({ ":method": "POST", ":path": checkPath, "content-type": "application/json" }).resume().end("{}");
  const [code] = await goaway;
  expect(code).toBe(constants.NGHTTP2_NO_ERROR);
  await expect.poll(() => edge.listener.connections()).toBe(0);
});
