import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { GatewayService } from "../../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../../../gen/atoll/session/v1/session_service_pb.ts";
import { verifies } from "../../../../test/requirements.ts";
import { ErrorReason, failure } from "../../errors.ts";
import { InvalidPageToken, LogDamaged, StoreUnavailable } from "../../store/store-errors.ts";
import {
  administrator,
  drained,
  failureOf,
  onBehalfOf,
  type ServedRpcs,
  served,
  serveRpcs,
  traceId,
} from "../served-rpcs.fixture.ts";
import { request, transportOf, ways } from "./call-ways.fixture.ts";

/** Throws it from a unary call, and from a stream after its first message. */
function serveThrowing(thrown: () => unknown): Promise<ServedRpcs> {
  return serveRpcs([
    served(SessionService, {
      getSession() {
        throw thrown();
      },
    }),
    served(GatewayService, {
      async *subscribe() {
        yield {};
        throw thrown();
      },
    }),
  ]);
}

async function bothFailures(mesh: ServedRpcs, way: (typeof ways)[number]) {
  const transport = transportOf(mesh, way);
  const call = { ...onBehalfOf(administrator), headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` } };
  return [
    await failureOf(createClient(SessionService, transport).getSession(request, call)),
    await failureOf(drained(createClient(GatewayService, transport).subscribe({ sessionId: "ses_1" }, call))),
  ];
}

describe.each(ways)("what a handler throws, %s", (way) => {
  it(`leaves as INTERNAL without a word of its own; the log has it under the trace id ${verifies("L9")}`, async () => {
    const mesh = await serveThrowing(() => new TypeError("password=hunter2"));
    for (const seen of await bothFailures(mesh, way)) {
      expect(seen).toMatchObject({ code: Code.Internal, reason: "INTERNAL", metadata: { trace_id: traceId } });
      expect(JSON.stringify(seen)).not.toContain("hunter2");
    }
    const lines = mesh.logLines.filter((line) => line.includes("call failed"));
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ level: "error", traceId });
    expect(lines[0]).toContain("TypeError");
  });

  it("leaves as it is when it is one of ours", async () => {
    const mesh = await serveThrowing(() =>
      failure(ErrorReason.SESSION_NOT_FOUND, "no such session", { metadata: { session_id: "ses_1" } }),
    );
    for (const seen of await bothFailures(mesh, way)) {
      expect(seen).toMatchObject({
        code: Code.NotFound,
        reason: "SESSION_NOT_FOUND",
        text: "no such session",
        metadata: { session_id: "ses_1" },
      });
    }
  });

  it(`is DEADLINE_EXCEEDED with the deadline when the caller's has passed ${verifies("R6")}`, async () => {
    const mesh = await serveRpcs([
      served(SessionService, {
        getSession: (_request, { signal }) =>
          new Promise((_, reject) => signal.addEventListener("abort", () => reject(ConnectError.from(signal.reason)))),
      }),
    ]);
    // As headers alone: with a timeout of its own the client would not wait for the answer.
    const headers = way.startsWith("gRPC") ? { "grpc-timeout": "40m" } : { "connect-timeout-ms": "40" };
    const client = createClient(SessionService, transportOf(mesh, way));
    expect(await failureOf(client.getSession(request, { ...onBehalfOf(administrator), headers }))).toMatchObject({
      code: Code.DeadlineExceeded,
      reason: "DEADLINE_EXCEEDED",
      metadata: { timeout_ms: "40" },
    });
  });

  it("is UNAVAILABLE with a time to retry when the store is", async () => {
    const mesh = await serveThrowing(() => new StoreUnavailable("disk-full", new Error("SQLITE_FULL at /var/secret")));
    for (const seen of await bothFailures(mesh, way)) {
      expect(seen).toMatchObject({
        code: Code.Unavailable,
        reason: "STORE_UNAVAILABLE",
        metadata: { problem: "disk-full" },
        retryAfterMs: 1_000,
      });
      expect(JSON.stringify(seen)).not.toContain("secret");
    }
    expect(mesh.logLines.join("")).toContain("SQLITE_FULL");
  });

  it("is DATA_LOSS with the session and the event when a log is damaged", async () => {
    const mesh = await serveThrowing(() => new LogDamaged("ses_1", 17, "a checksum", new Error("secret bytes")));
    for (const seen of await bothFailures(mesh, way)) {
      expect(seen).toMatchObject({
        code: Code.DataLoss,
        reason: "LOG_DAMAGED",
        metadata: { session_id: "ses_1", seq: "17" },
        retryAfterMs: 0,
      });
      expect(JSON.stringify(seen)).not.toContain("secret");
    }
    expect(mesh.logLines.join("")).toContain("a checksum");
  });

  it("is the caller's fault when the page token is none of ours", async () => {
    const mesh = await serveThrowing(() => new InvalidPageToken("x"));
    for (const seen of await bothFailures(mesh, way)) {
      expect(seen).toMatchObject({
        code: Code.InvalidArgument,
        reason: "FIELD_INVALID",
        fields: [{ path: "page_token" }],
      });
    }
  });

  it("is INTERNAL, too, when a library's error says so", async () => {
    const mesh = await serveThrowing(() => new ConnectError("a line of /srv/driver.js", Code.Internal));
    for (const seen of await bothFailures(mesh, way)) {
      expect(seen).toMatchObject({ code: Code.Internal, reason: "INTERNAL" });
      expect(seen.text).not.toContain("driver.js");
    }
  });
});

describe.each(ways)("an RPC that this build does not serve, %s", (way) => {
  it("says so by name", async () => {
    const mesh = await serveRpcs([served(SessionService, {}), served(GatewayService, {})]);
    const [unary, stream] = await bothFailures(mesh, way);
    const method = "atoll.session.v1.SessionService/GetSession";
    expect(unary).toMatchObject({ code: Code.Unimplemented, reason: "METHOD_NOT_SERVED", metadata: { method } });
    expect(stream).toMatchObject({ code: Code.Unimplemented, reason: "METHOD_NOT_SERVED" });
  });
});

describe.each(ways)("a request that breaks a rule of its fields, %s", (way) => {
  it(`is refused with the paths of all of them, before the handler ${verifies("L6")}`, async () => {
    let calls = 0;
    const submitMessage = () => {
      calls += 1;
      return {};
    };
    const mesh = await serveRpcs([served(SessionService, { submitMessage })]);
    const client = createClient(SessionService, transportOf(mesh, way));
    const text = { block: { case: "text" as const, value: { text: "hello" } } };
    const command = { block: { case: "command" as const, value: { name: "" } } };
    const empty = {
      requestId: "",
      sessionId: "../../etc",
      message: { content: [text, command], metadata: { "": "x" } },
    };
    const seen = await failureOf(client.submitMessage(empty, onBehalfOf(administrator)));
    expect(seen).toMatchObject({ code: Code.InvalidArgument, reason: "FIELD_INVALID" });
    const paths = seen.fields.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(["request_id", "session_id", "message.content[1].command.name"]));
    expect(paths.some((path) => path.startsWith("message.metadata["))).toBe(true);
    expect(seen.metadata["field"]).toBe(paths[0]);
    for (const { problem } of seen.fields) expect(problem).not.toBe("");
    const missing = await failureOf(
      client.submitMessage({ requestId: "r1", sessionId: "ses_1" }, onBehalfOf(administrator)),
    );
    expect(missing.fields.map(({ path }) => path)).toEqual(["message"]);
    expect(calls).toBe(0);
    await client.submitMessage(
      { requestId: "r1", sessionId: "ses_1", message: { content: [text] } },
      onBehalfOf(administrator),
    );
    expect(calls).toBe(1);
  });
});

describe.each(["in memory", "between services", "Connect", "gRPC"] as const)("a stream, %s", (way) => {
  it("is refused at the first message that breaks a rule", async () => {
    const heard: string[] = [];
    const mesh = await serveRpcs([
      served(GatewayService, {
        async *chat(requests) {
          for await (const { requestId } of requests) {
            heard.push(requestId);
            yield { requestId };
          }
        },
      }),
    ]);
    async function* say() {
      yield { requestId: "good", action: { case: "close" as const, value: { sessionId: "ses_1" } } };
      yield { requestId: "bad", action: { case: "close" as const, value: { sessionId: "no session" } } };
    }
    const seen = await failureOf(
      drained(createClient(GatewayService, transportOf(mesh, way)).chat(say(), onBehalfOf(administrator))),
    );
    expect(seen).toMatchObject({
      code: Code.InvalidArgument,
      reason: "FIELD_INVALID",
      fields: [{ path: "close.session_id" }],
    });
    expect(heard).toEqual(["good"]);
  });
});
