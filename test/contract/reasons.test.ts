/** Each RPC lists what it fails with: walked over the contracts. That meshes keep to it is looked at by test/support/check-reasons.ts. */
import { type DescEnumValue, type DescMethod, getOption } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { AdminService } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import { AgentService } from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { rule, Scope } from "../../gen/atoll/auth/v1/options_pb.ts";
import { any_rpc, ErrorReason, ErrorReasonSchema, outcome_only } from "../../gen/atoll/error/v1/error_reason_pb.ts";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { InstanceService } from "../../gen/atoll/internal/v1/instance_service_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { reasonName } from "../../services/kernel/errors.ts";

/** What no answer of this build says. */
const unanswered: ReadonlyMap<ErrorReason, string> = new Map([
  [ErrorReason.READER_STALLED, "who reads nothing can't be told: the stream is reset, and the mesh's log says why"],
  [ErrorReason.TRANSPORT_UNSUITABLE, "a stream both ways over HTTP/1.1 is answered 505 before any service is asked"],
  [ErrorReason.BLOB_NOT_FOUND, "no RPC gives blobs yet"],
]);

const services = [GatewayService, SessionService, AgentService, ToolRouterService, AdminService, InstanceService];
const methods: readonly DescMethod[] = services.flatMap((service) => service.methods as readonly DescMethod[]);
const nameOf = (method: DescMethod): string => `${method.parent.name}/${method.name}`;
const reasonsOf = (method: DescMethod): readonly ErrorReason[] => getOption(method, rule).reasons;
const reasons = ErrorReasonSchema.values.filter(({ number }) => number !== ErrorReason.UNSPECIFIED);
const numbersOf = (values: readonly DescEnumValue[]): readonly ErrorReason[] =>
  values.map(({ number }) => number as ErrorReason);
const ofAnyRpc = new Set(numbersOf(reasons.filter((value) => getOption(value, any_rpc))));
const ofOutcomes = new Set(numbersOf(reasons.filter((value) => getOption(value, outcome_only))));
const namesOf = (found: Iterable<ErrorReason>): readonly string[] => [...found].map(reasonName);

describe.each(methods.map((method) => [nameOf(method), reasonsOf(method)] as const))("%s", (_, listed) => {
  it("lists its reasons by number, each once, and none that any RPC or no RPC fails with", () => {
    expect(listed).toEqual([...new Set(listed)].sort((one, other) => one - other));
    expect(listed).not.toContain(ErrorReason.UNSPECIFIED);
    expect(namesOf(listed.filter((reason) => ofAnyRpc.has(reason) || ofOutcomes.has(reason)))).toEqual([]);
  });
});

describe("a reason", () => {
  it("is one of any RPC, of outcomes alone, of the RPCs that list it, or of no answer of this build", () => {
    const listed = new Set(methods.flatMap(reasonsOf));
    const places = numbersOf(reasons).map((reason) => {
      const isIn = [ofAnyRpc, ofOutcomes, listed, unanswered].map((place) => place.has(reason));
      return [reasonName(reason), isIn.filter(Boolean).length];
    });
    expect(places.filter(([, count]) => count !== 1)).toEqual([]);
  });
});

const listing = (...wanted: readonly ErrorReason[]): readonly string[] =>
  methods.filter((method) => wanted.every((reason) => reasonsOf(method).includes(reason))).map(nameOf);
const withScope = (...scopes: readonly Scope[]): readonly string[] =>
  methods.filter((method) => scopes.includes(getOption(method, rule).scope)).map(nameOf);

describe("what is answered for a whole kind of RPC", () => {
  it("the ends of a run, wherever a run's token may come (run-tokens.ts)", () => {
    const ends = [ErrorReason.RUN_NOT_FOUND, ErrorReason.RUN_FINISHED, ErrorReason.EPOCH_FENCED];
    // A worker is told of its run in the same words.
    const expected = [...withScope(Scope.SESSIONS_READ, Scope.TOOLS_READ, Scope.TOOLS_CALL), "SessionService/Attach"];
    expect([...listing(...ends)].sort()).toEqual([...expected].sort());
  });

  it("that nothing is inflated, wherever no token is asked for", () => {
    expect(listing(ErrorReason.COMPRESSION_REFUSED)).toEqual(withScope(Scope.PUBLIC));
  });

  it("that an id was used for another request, wherever a request has one", () => {
    const withId = methods.filter(({ input }) => input.fields.some(({ name }) => name === "request_id")).map(nameOf);
    // Their id is `call_id`.
    const expected = [...withId, "ToolRouterService/CallTool", "ToolRouterService/InvokeTool"];
    expect([...listing(ErrorReason.REQUEST_ID_REUSED)].sort()).toEqual([...expected].sort());
  });

  it.each([
    [GatewayService.method.sendMessage, SessionService.method.submitMessage],
    [GatewayService.method.cancelRun, SessionService.method.cancelRun],
    [GatewayService.method.waitRun, SessionService.method.waitRun],
    [GatewayService.method.resolveApproval, SessionService.method.resolveApproval],
    [GatewayService.method.answerQuestion, SessionService.method.answerQuestion],
    [GatewayService.method.subscribe, SessionService.method.listEvents],
    [GatewayService.method.subscribeSessions, GatewayService.method.subscribe],
    [ToolRouterService.method.watchTools, ToolRouterService.method.listTools],
  ] as const)("$0.name of the gateway or a stream, as $1.name answers it", (one, other) => {
    expect(namesOf(reasonsOf(one))).toEqual(namesOf(reasonsOf(other)));
  });

  it("in Chat what the unary calls of its frames answer", () => {
    const { sendMessage, cancelRun, resolveApproval, answerQuestion } = GatewayService.method;
    const frames = [sendMessage, cancelRun, resolveApproval, answerQuestion, SessionService.method.createSession];
    const answered = new Set(frames.flatMap((method) => reasonsOf(method)));
    expect(namesOf(reasonsOf(GatewayService.method.chat))).toEqual(expect.arrayContaining([...namesOf(answered)]));
  });
});
