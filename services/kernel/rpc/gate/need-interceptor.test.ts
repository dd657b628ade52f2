import { Code, createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { AdminService } from "../../../../gen/atoll/admin/v1/admin_service_pb.ts";
import { Scope } from "../../../../gen/atoll/auth/v1/options_pb.ts";
import { ApprovalDecision } from "../../../../gen/atoll/event/v1/tool_events_pb.ts";
import { SessionService } from "../../../../gen/atoll/session/v1/session_service_pb.ts";
import { ToolRouterService } from "../../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { administrator, failureOf, onBehalfOf, served, serveRpcs } from "../served-rpcs.fixture.ts";

const digest = "a".repeat(64);

async function serveAll() {
  const taken: string[] = [];
  const mesh = await serveRpcs([
    served(SessionService, {
      resolveApproval: ({ decision }) => {
        taken.push(String(decision));
        return {};
      },
    }),
    served(ToolRouterService, {
      createServer: ({ config }) => {
        taken.push(config?.command || (config?.url ?? ""));
        return {};
      },
    }),
    served(AdminService, {}),
  ]);
  return { mesh, taken };
}

const as = (...scopes: Scope[]) => onBehalfOf({ ...administrator, scopes: new Set(scopes) });

describe("what needs a scope of its own in a request", () => {
  it("is a value: a decision for always", async () => {
    const { mesh, taken } = await serveAll();
    const session = createClient(SessionService, mesh.inMemory);
    const decide = (decision: ApprovalDecision, ...scopes: Scope[]) =>
      session.resolveApproval(
        { requestId: "r", sessionId: "ses_1", approvalId: "apr_1", decision, digest },
        as(...scopes),
      );
    await decide(ApprovalDecision.ALLOW_ONCE, Scope.APPROVALS);
    await decide(ApprovalDecision.DENY, Scope.APPROVALS);
    expect(await failureOf(decide(ApprovalDecision.ALLOW_ALWAYS, Scope.APPROVALS))).toMatchObject({
      code: Code.PermissionDenied,
      reason: "SCOPE_MISSING",
      metadata: { scope: "APPROVALS_ALWAYS" },
    });
    // Not the other way round either.
    expect(await failureOf(decide(ApprovalDecision.ALLOW_ALWAYS, Scope.APPROVALS_ALWAYS))).toMatchObject({
      metadata: { scope: "APPROVALS" },
    });
    expect(taken).toHaveLength(2);
    await decide(ApprovalDecision.ALLOW_ALWAYS, Scope.APPROVALS, Scope.APPROVALS_ALWAYS);
    await decide(ApprovalDecision.ALLOW_ALWAYS, Scope.ADMIN);
    expect(taken).toHaveLength(4);
  });

  it("is a field, however deep it stands: a program that the mesh would start", async () => {
    const { mesh, taken } = await serveAll();
    const tools = createClient(ToolRouterService, mesh.inMemory);
    const add = (config: { command: string } | { url: string }, ...scopes: Scope[]) =>
      tools.createServer({ requestId: "r", name: "files", config }, as(...scopes));
    await add({ url: "https://tools.example/mcp" }, Scope.TOOLS_ADMIN);
    for (const scope of [Scope.TOOLS_ADMIN, Scope.ADMIN]) {
      expect(await failureOf(add({ command: "sh" }, scope))).toMatchObject({
        reason: "SCOPE_MISSING",
        metadata: { scope: "OPERATOR" },
      });
    }
    await add({ command: "sh" }, Scope.TOOLS_ADMIN, Scope.OPERATOR);
    expect(taken).toEqual(["https://tools.example/mcp", "sh"]);
  });
});
