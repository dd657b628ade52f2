/** The mesh's own way of answering unary calls against the library's: whatever is sent, both answer the same. */
import { once } from "node:events";
import type { OutgoingHttpHeaders } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { Scope } from "../../../../gen/atoll/auth/v1/options_pb.ts";
import { ListEventsRequestSchema } from "../../../../gen/atoll/session/v1/session_service_pb.ts";
import { verifies } from "../../../../test/requirements.ts";
import { ErrorReason, failure } from "../../errors.ts";
import { openRawPeer, type RawPeer } from "../edge/edge.fixture.ts";
import { RawSessionService } from "../hops/raw-session-service.ts";
import { administrator, localToken, served, serveRpcs } from "../served-rpcs.fixture.ts";
import { ask, call, getSession, listEvents, open, openSession } from "./unary-calls.fixture.ts";

const getRun = "/atoll.session.v1.SessionService/GetRun";

const ways = ["fast", "library"] as const;

/** The same handlers behind both; `bySession` says what to do by the id that is asked for. */
async function serveBoth(bySession: Readonly<Record<string, (context: HandlerContext) => unknown>> = {}) {
  const servers = await Promise.all(
    ways.map(async (unary) => {
      const calls = vi.fn();
      const mesh = await serveRpcs(
        [
          served(RawSessionService, {
            async getSession({ by }, context) {
              calls(by.value);
              await bySession[String(by.value)]?.(context);
              return { session: { sessionId: String(by.value) } };
            },
            listEvents: () => ({
              events: [new Uint8Array(300).fill(1), new Uint8Array(0)],
              logId: "log_1",
              headSeq: 7n,
            }),
          }),
        ],
        { unary, maxFailedPerMinute: 1_000_000 },
      );
      return { mesh, calls, session: openSession(mesh.listener.url) };
    }),
  );
  const [fast, library] = servers;
  if (fast === undefined || library === undefined) throw new Error("both were opened");
  return {
    fast,
    library,
    both: async (headers: OutgoingHttpHeaders, body: Uint8Array) => {
      const one = await call(fast.session, headers, body);
      expect(one).toEqual(await call(library.session, headers, body));
      expect(fast.calls.mock.calls).toEqual(library.calls.mock.calls);
      return one;
    },
  };
}

const handlers = {
  ses_headers: ({ responseHeader, responseTrailer }: HandlerContext) => {
    responseHeader.set("x-one", "1");
    responseTrailer.set("x-two", "2");
  },
  ses_refused: () => {
    throw failure(ErrorReason.SESSION_NOT_FOUND, "there is no such session", {
      metadata: { session_id: "ses_refused" },
    });
  },
  ses_metadata: () => {
    throw new ConnectError("later", Code.Unavailable, { "x-said": "more", "content-type": "text/html" });
  },
  ses_broken: () => {
    throw new Error("a secret");
  },
  ses_slow: ({ signal }: HandlerContext) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(ConnectError.from(signal.reason)))),
};

describe("a unary call between services", () => {
  it.each([
    ["a good one", {}, ask("ses_1"), 200],
    ["one whose handler says headers and trailers", {}, ask("ses_headers"), 200],
    ["one that is refused", {}, ask("ses_refused"), 404],
    ["one that is refused with headers", {}, ask("ses_metadata"), 503],
    ["one whose handler breaks", {}, ask("ses_broken"), 500],
    ["one whose deadline passes", { "connect-timeout-ms": "40" }, ask("ses_slow"), 504],
    ["one without a token", { authorization: "" }, ask("ses_1"), 401],
    ["one with a wrong token", { authorization: "Bearer x" }, ask("ses_1"), 401],
    ["one with a field that is not valid", {}, ask("x".repeat(5_000)), 400],
    ["one that can't be decoded", {}, new Uint8Array([0xff, 0xff, 0xff]), 400],
    ["one without a body", {}, new Uint8Array(0), 400],
    ["one that is too large, and says so", { "content-length": "2000000" }, new Uint8Array(2_000_000), 429],
    ["one that is too large, and does not say so", {}, new Uint8Array(2_000_000), 429],
    ["one with a deadline that is none", { "connect-timeout-ms": "soon" }, ask("ses_1"), 400],
    ["one of an RPC that has no handler", { ":path": getRun }, ask("run_1"), 501],
    ["one of an RPC that is not there", { ":path": "/atoll.session.v1.SessionService/GetNone" }, ask("x"), 404],
    ["one without the protocol's header", { "connect-protocol-version": [] }, ask("ses_1"), 400],
    ["one of another version", { "connect-protocol-version": "2" }, ask("ses_1"), 400],
    ["one in another codec", { "content-type": "application/json" }, Buffer.from('{"sessionId":"ses_1"}'), 200],
    ["one in gRPC", { "content-type": "application/grpc", te: "trailers" }, new Uint8Array(5), 200],
    ["one in no codec", { "content-type": "text/plain" }, ask("ses_1"), 415],
    ["one whose method is not served", { ":method": "PUT" }, ask("ses_1"), 405],
    ["one that says to be compressed and is not", { "content-encoding": "gzip" }, ask("ses_1"), 400],
    ["one that would have its answer compressed", { "accept-encoding": "gzip" }, ask("ses_1"), 200],
  ])("is answered as the library answers it: %s", async (_case, headers, body, status) => {
    const { both } = await serveBoth(handlers);
    expect((await both(headers, body)).headers[":status"]).toBe(status);
  });

  it(`is answered as the library answers it, whatever its bytes are ${verifies("L6")}`, async () => {
    const { both } = await serveBoth();
    const sound = Array.from(ask("ses_1"));
    const mutated = fc
      .tuple(fc.nat(sound.length - 1), fc.nat(2), fc.uint8Array({ maxLength: 4 }))
      .map(([at, removed, put]) => Uint8Array.from(sound.toSpliced(at, removed, ...put)));
    await fc.assert(
      fc.asyncProperty(fc.oneof(mutated, fc.uint8Array({ maxLength: 40 })), async (body) => {
        await both({}, body);
      }),
      { numRuns: 300 },
    );
  });

  it("has pages of events in its answer byte for byte", async () => {
    const { both } = await serveBoth();
    const body = toBinary(ListEventsRequestSchema, create(ListEventsRequestSchema, { sessionId: "ses_1" }));
    const { headers } = await both({ ":path": listEvents }, body);
    expect(headers[":status"]).toBe(200);
  });

  it("is refused before its body is read when the caller lacks the scope", async () => {
    const { fast, library } = await serveBoth();
    for (const { mesh, session, calls } of [fast, library]) {
      const reader = { ...administrator, scopes: new Set([Scope.TOOLS_READ]) };
      const authorization = `Bearer ${await mesh.tokens.sign("hop", reader)}`;
      const stream = open(session, { authorization });
      // Nothing of the body was sent, and it is not ended.
      const [headers] = await once(stream, "response");
      expect(headers[":status"]).toBe(403);
      expect(calls).not.toHaveBeenCalled();
      stream.close();
    }
  });

  it("tells its handler that the caller left", async () => {
    const reasons: unknown[] = [];
    const reached = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let count = 0;
    const { fast, library } = await serveBoth({
      ses_1: ({ signal }) =>
        new Promise<void>((resolve) => {
          signal.addEventListener("abort", () => {
            reasons.push(signal.reason);
            resolve();
          });
          reached[count++]?.resolve();
        }),
    });
    for (const [index, { session }] of [fast, library].entries()) {
      const stream = open(session, {});
      stream.end(ask("ses_1"));
      await reached[index]?.promise;
      stream.close(8);
      await vi.waitFor(() => expect(reasons).toHaveLength(index + 1));
    }
    expect(reasons.map((reason) => ConnectError.from(reason).code)).toEqual([Code.Canceled, Code.Canceled]);
  });

  // With frames of our own: node's client ends what it resets, and says so first.
  it.each([
    ["a reset", (peer: RawPeer) => peer.socket.write(frame(3, 0, Buffer.from([0, 0, 0, 8])))],
    ["the end of its connection", (peer: RawPeer) => peer.socket.end()],
    ["the loss of its connection", (peer: RawPeer) => peer.socket.resetAndDestroy()],
  ])("that is cut off in the middle of its body by %s reaches no handler", async (_case, cut) => {
    const { fast, library } = await serveBoth();
    for (const { mesh, session, calls } of [fast, library]) {
      const peer = await openRawPeer(mesh);
      peer.socket.write(beginCall(mesh.listener.port));
      // A message that would be whole if this were all of it.
      peer.socket.write(frame(0, 0, ask("ses_1")));
      // What was read is answered with more window, or not at all; a PING is answered behind it.
      peer.socket.write(frame(6, 0, Buffer.alloc(8, "p"), 0));
      await vi.waitFor(() => expect(peer.received()).toContain("pppppppp"));
      cut(peer);
      for (let round = 0; round < 20; round++) await call(session, { ":path": listEvents }, new Uint8Array(0));
      expect(calls).not.toHaveBeenCalled();
    }
  });

  it("whose body is whole reaches its handler, in the same frames", async () => {
    const { fast, library } = await serveBoth();
    for (const { mesh, calls } of [fast, library]) {
      const peer = await openRawPeer(mesh);
      peer.socket.write(beginCall(mesh.listener.port));
      peer.socket.write(frame(0, 1, ask("ses_1")));
      await vi.waitFor(() => expect(calls).toHaveBeenCalledOnce());
    }
  });
});

/** A frame of HTTP/2 (RFC 9113 §4.1). */
function frame(type: number, flags: number, payload: Uint8Array, stream = 1): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The preface, settings, and the headers of a call whose body comes later; literals without a table (RFC 7541 §6.2.2). */
function beginCall(port: number): Buffer {
  const headers = {
    ":method": "POST",
    ":scheme": "http",
    ":path": getSession,
    ":authority": `127.0.0.1:${port}`,
    authorization: `Bearer ${localToken}`,
    "connect-protocol-version": "1",
    "content-type": "application/proto",
  };
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  const literals = Object.entries(headers).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]);
  return Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    frame(4, 0, Buffer.alloc(0), 0),
    frame(1, 4, Buffer.concat(literals)),
  ]);
}
