/** Unary calls over HTTP/2, byte for byte. */
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { onTestFinished } from "vitest";
import { GetSessionRequestSchema } from "../../../../gen/atoll/session/v1/session_service_pb.ts";
import { localToken, traceId } from "../served-rpcs.fixture.ts";

export const getSession = "/atoll.session.v1.SessionService/GetSession";

export const listEvents = "/atoll.session.v1.SessionService/ListEvents";

interface Answer {
  readonly headers: OutgoingHttpHeaders;
  readonly body: string;
}

export function openSession(url: string): ClientHttp2Session {
  const session = connect(url);
  session.on("error", () => undefined);
  onTestFinished(() => session.destroy());
  return session;
}

export function open(session: ClientHttp2Session, headers: OutgoingHttpHeaders): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": getSession,
    authorization: `Bearer ${localToken}`,
    traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
    "connect-protocol-version": "1",
    "content-type": "application/proto",
    ...headers,
  });
  stream.on("error", () => undefined);
  return stream;
}

export async function call(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: Uint8Array,
): Promise<Answer> {
  const stream = open(session, headers);
  const answered = once(stream, "response") as Promise<[OutgoingHttpHeaders]>;
  stream.end(body);
  const [{ date: _, ...answer }] = await answered;
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return { headers: answer, body: Buffer.concat(chunks).toString("latin1") };
}

export function ask(sessionId: string): Uint8Array {
  return toBinary(
    GetSessionRequestSchema,
    create(GetSessionRequestSchema, { by: { case: "sessionId", value: sessionId } }),
  );
}
