import { once } from "node:events";
import { constants, connect as http2Connect } from "node:http2";
import { connect, createServer } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { expect, it, onTestFinished } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../../../gen/grpc/health/v1/health_pb.ts";
import { kindsOf, openEdge, openRawPeer } from "../edge/edge.fixture.ts";
import { createSelfSignedCertificate } from "../self-signed.fixture.ts";

const check =
  "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n";

it("sends GOAWAY on drain and refuses new connections", async () => {
  const { listener } = await openEdge();
  const session = http2Connect(listener.url);
  onTestFinished(() => session.destroy());
  await once(session, "remoteSettings");
  const goaway = once(session, "goaway");
  listener.drain();
  expect((await goaway)[0]).toBe(constants.NGHTTP2_NO_ERROR);
  const late = connect({ host: "127.0.0.1", port: listener.port });
  const [error] = await once(late, "error");
  expect(error.code).toBe("ECONNREFUSED");
});

it.each([
  ["gRPC over h2c", (baseUrl: string) => createGrpcTransport({ baseUrl })],
  ["Connect over HTTP/1.1", (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
])("lets an open stream of %s finish and resolves close() then", async (_name, createTransport) => {
  const { listener, board, faults } = await openEdge();
  const stream = createClient(Health, createTransport(listener.url)).watch({})[Symbol.asyncIterator]();
  await stream.next();
  const closed = listener.close(60_000);
  board.setAll("not_serving");
  expect((await stream.next()).value).toMatchObject({ status: Status.NOT_SERVING });
  expect(listener.connections()).toBe(1);
  board.close();
  expect((await stream.next()).done).toBe(true);
  await closed;
  expect(listener.connections()).toBe(0);
  expect(faults).toEqual([]);
});

it.each([
  ["plaintext", undefined],
  ["TLS", createSelfSignedCertificate()],
])("destroys what is still open at the deadline over %s and says so", async (_name, tls) => {
  const { listener, faults } = await openEdge({}, tls === undefined ? {} : { tls });
  const nodeOptions = { rejectUnauthorized: false };
  const clients = [
    createGrpcTransport({ baseUrl: listener.url, nodeOptions }),
    createConnectTransport({ baseUrl: listener.url, httpVersion: "1.1", nodeOptions }),
  ].map((transport) => createClient(Health, transport).watch({})[Symbol.asyncIterator]());
  for (const stream of clients) await stream.next();
  await listener.close(50);
  expect(listener.connections()).toBe(0);
  expect(faults).toMatchObject([{ kind: "CLOSED_AT_DEADLINE", detail: expect.stringContaining("2 connections") }]);
  for (const stream of clients) await expect(stream.next()).rejects.toThrow();
});

it("ends idle and unused connections on drain", async () => {
  const edge = await openEdge();
  const idle = await openRawPeer(edge);
  idle.socket.write(`${check}{}`);
  await expect.poll(idle.received).toContain("SERVING");
  const unused = await openRawPeer(edge);
  await expect.poll(() => edge.listener.connections()).toBe(2);
  edge.listener.drain();
  await Promise.all([idle.closed, unused.closed]);
});

it.each([
  ["headers", 20],
  ["body", check.length],
])("answers a request whose %s were half here at the drain and closes its connection", async (_what, bytesBefore) => {
  const edge = await openEdge();
  const peer = await openRawPeer(edge);
  peer.socket.write(check.slice(0, bytesBefore));
  await expect.poll(() => edge.listener.connections()).toBe(1);
  // Until what was sent has been read.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const closed = edge.listener.close(60_000);
  peer.socket.write(`${check.slice(bytesBefore)}{}`);
  await peer.closed;
  await closed;
  expect(peer.received()).toMatch(/^HTTP\/1\.1 200/);
  expect(peer.received().toLowerCase()).toContain("connection: close");
  expect(kindsOf(edge.faults)).toEqual([]);
});

it("may be drained and closed twice", async () => {
  const { listener } = await openEdge();
  listener.drain();
  listener.drain();
  await Promise.all([listener.close(10), listener.close(10)]);
});

it("frees the port before close() resolves", async () => {
  const { listener } = await openEdge();
  await listener.close(10);
  const next = createServer().listen(listener.port, "127.0.0.1");
  onTestFinished(() => void next.close());
  await once(next, "listening");
});
