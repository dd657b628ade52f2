/** What a transport makes of a stream that its server resets, as a mesh resets a reader that takes nothing. */
import { once } from "node:events";
import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { expect, onTestFinished, test } from "vitest";
import { GatewayService, SubscribeResponseSchema } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { judgeBreakage } from "./judge-breakage.ts";

async function serveReset(contentType: string): Promise<string> {
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200, "content-type": contentType });
    const message = toBinary(SubscribeResponseSchema, create(SubscribeResponseSchema, { logId: "log_1" }));
    const envelope = Buffer.alloc(5);
    envelope.writeUInt32BE(message.length, 1);
    stream.write(Buffer.concat([envelope, message]));
    // A message that the reader does not take waits when it is cut off.
    const large = Buffer.alloc(4_000_005);
    large.writeUInt32BE(4_000_000, 1);
    stream.write(large);
    setTimeout(() => {
      stream.close(constants.NGHTTP2_CANCEL);
      setImmediate(() => stream.destroy());
    }, 50);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test.each([
  ["Connect", "application/connect+proto", createConnectTransport],
  ["gRPC", "application/grpc+proto", createGrpcTransport],
] as const)(
  "a stream that is reset with CANCEL is resumed, over %s",
  async (_protocol, contentType, createTransport) => {
    const transport = createTransport({ baseUrl: await serveReset(contentType), httpVersion: "2" });
    const logIds: string[] = [];
    let thrown: unknown;
    try {
      for await (const { logId } of createClient(GatewayService, transport).subscribe({ sessionId: "ses_1" })) {
        logIds.push(logId);
        await sleep(200);
      }
    } catch (error) {
      thrown = error;
    }
    expect(logIds).toEqual(["log_1"]);
    expect(judgeBreakage(thrown, true)).toEqual({ kind: "resume", reason: "connection lost", afterMs: 0 });
  },
);
