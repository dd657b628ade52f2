/** What makes two calls the same call: another one under the same id is refused. */
import { createHash } from "node:crypto";
import type { ToolCall } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { canonicalJson } from "../../kernel/json/canonical-json.ts";

/**
 * SHA-256 over tool, arguments, session, run, step and agent. Not the epoch: a worker that took the run over makes the
 * same call. Not the timeout: it does not change what the tool does.
 *
 * @param argumentsText Canonical, so that two spellings of the same arguments are one call.
 */
export function digestOf(call: ToolCall, argumentsText: string): string {
  const { sessionId = "", runId = "", step = 0, agentId = "" } = call.context ?? {};
  const text = canonicalJson({ tool: call.tool, arguments: argumentsText, sessionId, runId, step, agentId });
  return createHash("sha256").update(text).digest("hex");
}
