/**
 * Calls made by hand over HTTP/2, for what no client library would send: any bytes, under the rules of the three
 * protocols. What comes back is read by the library's own parsers.
 */
import { connect, type IncomingHttpHeaders } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { endStreamFromJson, errorFromJson } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { factsOf, type Refusal } from "./mesh-client.fixture.ts";

export const protocols = ["connect", "grpc", "grpc-web"] as const;
export type Protocol = (typeof protocols)[number];

export interface RawCall {
  /** Where the mesh is. */
  readonly url: string;
  /** Default: none. */
  readonly token?: string;
  /** `package.Service/Method`. */
  readonly method: string;
  readonly protocol: Protocol;
  readonly isStream?: boolean;
  /** The message as bytes; enveloped where the protocol wants it. */
  readonly message: Uint8Array;
  /** `proto` or `json`. Default: proto. */
  readonly codec?: "proto" | "json";
  /** Says that the message is compressed with gzip, which is the caller's work. */
  readonly isZipped?: boolean;
  /** Sent instead of the enveloped message, and the stream is left open. */
  readonly openBytes?: Uint8Array;
  /** Milliseconds of silence. Default 10 000. */
  readonly answerTimeoutMs?: number;
  /** Beside the protocol's own; they win. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const defaultAnswerTimeoutMs = 10_000;

/** Sends the call and gives what comes back, whole. */
export async function callRaw(call: RawCall): Promise<RawAnswer> {
  const session = connect(call.url);
  try {
    return await new Promise<RawAnswer>((resolve, reject: (error: Error) => void) => {
      session.once("error", reject);
      const stream = session.request({
        ":method": "POST",
        ":path": `/${call.method}`,
        ...protocolHeaders(call),
        ...(call.token === undefined ? {} : { authorization: `Bearer ${call.token}` }),
        ...call.headers,
      });
      let headers: IncomingHttpHeaders = {};
      let trailers: IncomingHttpHeaders = {};
      const chunks: Buffer[] = [];
      const answer = (): RawAnswer => ({
        status: Number(headers[":status"]),
        headers,
        trailers,
        body: Buffer.concat(chunks),
      });
      stream.once("response", (received) => {
        headers = received;
      });
      stream.once("trailers", (received) => {
        trailers = received;
      });
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.once("end", () => resolve(answer()));
      // A mesh that refuses early closes what it will not read: the answer counts, not the reset.
      stream.once("error", (error: Error) => (headers[":status"] === undefined ? reject(error) : resolve(answer())));
      const answerTimeoutMs = call.answerTimeoutMs ?? defaultAnswerTimeoutMs;
      stream.setTimeout(answerTimeoutMs, () => reject(new Error(`no answer in ${answerTimeoutMs} ms`)));
      if (call.openBytes === undefined) stream.end(bodyOf(call));
      else stream.write(call.openBytes);
    });
  } finally {
    session.destroy();
  }
}

/** How the call is refused. Throws when it is not. */
export async function refusalOfRaw(call: RawCall): Promise<Refusal> {
  const answer = await callRaw(call);
  const error = errorIn(answer, call);
  if (error === undefined)
    throw new Error(`not refused: HTTP ${answer.status} ${answer.body.toString("utf8", 0, 300)}`);
  return factsOf(error);
}

function errorIn(
  { status, headers, trailers, body }: RawAnswer,
  { protocol, isStream = false }: RawCall,
): ConnectError | undefined {
  const metadata = new Headers();
  const otherwise = new ConnectError(`HTTP ${status}`, Code.Unknown);
  switch (protocol) {
    case "connect": {
      if (!isStream)
        return status === 200 ? undefined : errorFromJson(JSON.parse(body.toString("utf8")), metadata, otherwise);
      const end = envelopes(body).find(({ flags }) => (flags & 2) !== 0);
      return end === undefined ? otherwise : endStreamFromJson(end.data).error;
    }
    case "grpc":
      return findTrailerError(toHeaders("grpc-status" in trailers ? trailers : headers));
    case "grpc-web": {
      const end = envelopes(body).find(({ flags }) => (flags & 0x80) !== 0);
      return findTrailerError(end === undefined ? toHeaders(headers) : trailerParse(end.data));
    }
  }
}

function protocolHeaders({
  protocol,
  isStream = false,
  codec = "proto",
  isZipped = false,
}: RawCall): Record<string, string> {
  switch (protocol) {
    case "connect":
      return {
        "content-type": isStream ? `application/connect+${codec}` : `application/${codec}`,
        "connect-protocol-version": "1",
        ...(isZipped ? { [isStream ? "connect-content-encoding" : "content-encoding"]: "gzip" } : {}),
      };
    case "grpc":
    case "grpc-web":
      return {
        "content-type": `application/${protocol}+${codec}`,
        te: "trailers",
        ...(isZipped ? { "grpc-encoding": "gzip" } : {}),
      };
  }
}

function bodyOf({ protocol, isStream = false, message, isZipped = false }: RawCall): Uint8Array {
  if (protocol === "connect" && !isStream) return message;
  return Buffer.concat([envelopeHead(message.length, isZipped ? 1 : 0), message]);
}

/** The five bytes before an enveloped message. */
export function envelopeHead(lengthBytes: number, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(lengthBytes, 1);
  return head;
}

function envelopes(body: Buffer): { readonly flags: number; readonly data: Buffer }[] {
  const found = [];
  for (let at = 0; at + 5 <= body.length; ) {
    const length = body.readUInt32BE(at + 1);
    found.push({ flags: body.readUInt8(at), data: body.subarray(at + 5, at + 5 + length) });
    at += 5 + length;
  }
  return found;
}

function toHeaders(headers: IncomingHttpHeaders): Headers {
  const plain = Object.entries(headers).filter(([name]) => !name.startsWith(":"));
  return new Headers(plain.map(([name, value]): [string, string] => [name, String(value)]));
}
