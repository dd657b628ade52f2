// A peer that dies in the middle of an answer, however the library names it, is a peer that can't be reached.
import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { createClient, createContextValues } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { GatewayService } from "../../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { verifies } from "../../../../test/requirements.ts";
import { createSignedTokens } from "../../auth/signed-tokens.ts";
import { systemClock } from "../../clock.ts";
import { administrator, drained, failureOf, onBehalfOf } from "../served-rpcs.fixture.ts";
import { connectPeer } from "./directory.ts";
import { createHopInterceptor } from "./hop-interceptor.ts";

/** An HTTP/2 server that does with every stream what it is told. */
async function startPeer(answer: (stream: ServerHttp2Stream) => void) {
  const server = createServer();
  server.on("stream", (stream) => {
    stream.on("error", () => undefined);
    answer(stream);
  });
  server.on("session", (session) => onTestFinished(() => session.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const tokens = createSignedTokens(new Uint8Array(32).fill(3), systemClock);
  const transport = connectPeer({ kind: "remote", url }, createHopInterceptor("session", tokens, systemClock), {});
  return createClient(GatewayService, transport);
}

const streaming = { ":status": 200, "content-type": "application/connect+proto" };

describe("a peer that", () => {
  it.each([
    ["resets the stream as broken", (stream: ServerHttp2Stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR)],
    ["resets it for the protocol", (stream: ServerHttp2Stream) => stream.close(constants.NGHTTP2_PROTOCOL_ERROR)],
    ["drops the connection", (stream: ServerHttp2Stream) => stream.session?.destroy()],
    [
      "ends in the middle of a message",
      (stream: ServerHttp2Stream) => {
        stream.respond(streaming);
        stream.end(Buffer.from([0, 0, 0, 1, 0, 1, 2]));
      },
    ],
    [
      "ends without a last word",
      (stream: ServerHttp2Stream) => {
        stream.respond(streaming);
        stream.end(Buffer.from([0, 0, 0, 0, 0]));
      },
    ],
    [
      "closes the stream without an error",
      (stream: ServerHttp2Stream) => {
        stream.respond(streaming);
        stream.write(Buffer.from([0, 0, 0, 0, 0]));
        setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), 50);
      },
    ],
    [
      "closes the stream as closed",
      (stream: ServerHttp2Stream) => {
        stream.respond(streaming);
        stream.write(Buffer.from([0, 0, 0, 0, 0]));
        setTimeout(() => stream.close(constants.NGHTTP2_STREAM_CLOSED), 50);
      },
    ],
    [
      "drops the connection in the middle of an answer",
      (stream: ServerHttp2Stream) => {
        stream.respond(streaming);
        stream.write(Buffer.from([0, 0, 0, 0, 0]));
        setTimeout(() => stream.session?.destroy(), 50);
      },
    ],
    [
      "says good-bye in the middle of an answer",
      (stream: ServerHttp2Stream) => {
        stream.respond(streaming);
        stream.write(Buffer.from([0, 0, 0, 0, 0]));
        setTimeout(() => stream.session?.goaway(constants.NGHTTP2_NO_ERROR), 50);
        setTimeout(() => stream.session?.destroy(), 100);
      },
    ],
  ])(`%s can't be reached ${verifies("R4")}`, async (_case, answer) => {
    const gateway = await startPeer(answer);
    const stream = gateway.subscribe({ sessionId: "ses_1" }, onBehalfOf(administrator));
    const lost = { reason: "PEER_UNAVAILABLE", metadata: { service: "session" } };
    expect(await failureOf(drained(stream))).toMatchObject(lost);
  });

  it(`is named by node alone can't be reached ${verifies("R4")}`, async () => {
    const tokens = createSignedTokens(new Uint8Array(32).fill(3), systemClock);
    const hop = createHopInterceptor("session", tokens, systemClock);
    const broken = (code: string) => Object.assign(new Error("broken"), { code });
    const call = {
      stream: false,
      header: new Headers(),
      contextValues: createContextValues(),
      signal: new AbortController().signal,
    };
    for (const code of ["ERR_STREAM_PREMATURE_CLOSE", "ERR_HTTP2_INVALID_SESSION", "ECONNRESET", "EPIPE"]) {
      const failed = hop(() => Promise.reject(broken(code)))(call as never);
      expect(await failureOf(failed)).toMatchObject({ reason: "PEER_UNAVAILABLE" });
    }
  });
});
