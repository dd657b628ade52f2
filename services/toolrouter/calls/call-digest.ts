/** What makes two calls the same call: another one under the same id is refused. */
import { createHash } from "node:crypto";
import type { ToolCall } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { canonicalJson } from "../canonical-json.ts";

/**
 * SHA-256 over tool, arguments, session, run, step and agent. Not the epoch: a worker that took the run over makes the
 * same call. Not the timeout: it does not change what the tool does.
 */
export function digestOf(call: ToolCall): string {
  const { sessionId = "", runId = "", step = 0, agentId = "" } = call.context ?? {};
  const text = canonicalJson({ tool: call.tool, arguments: call.arguments ?? {}, sessionId, runId, step, agentId });
  return createHash("sha256").update(text).digest("hex");
}
