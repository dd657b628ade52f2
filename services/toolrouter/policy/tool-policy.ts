/**
 * Says whether an agent may use a tool (T3): a pure function of the layers there are. Today that is one, the agent's own
 * list of patterns; where no layer speaks, the default allows.
 */
import { PolicyVerdict } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { matchesName } from "../../kernel/match-name.ts";

export interface PolicyDecision {
  readonly verdict: typeof PolicyVerdict.ALLOW | typeof PolicyVerdict.DENY;
  readonly layer: "profile" | "agent";
  /** The rule that decided, as it is written in the configuration; `default` when none is written. */
  readonly rule: string;
}

/**
 * The patterns by which an agent is let at tools, such as `filesystem.*`; undefined when no agent is asked for, or none is
 * configured. An agent that is not among the configured ones has none: it may use no tool.
 */
export function patternsOf(
  agentTools: ReadonlyMap<string, readonly string[]>,
  agentId: string,
): readonly string[] | undefined {
  return agentId === "" || agentTools.size === 0 ? undefined : (agentTools.get(agentId) ?? []);
}

/** `patterns` as of `patternsOf`: undefined allows every tool, an empty list none. */
export function decidePolicy(tool: string, patterns: readonly string[] | undefined): PolicyDecision {
  if (patterns === undefined) return { verdict: PolicyVerdict.ALLOW, layer: "profile", rule: "default" };
  const rule = patterns.find((pattern) => matchesName(pattern, tool));
  if (rule !== undefined) return { verdict: PolicyVerdict.ALLOW, layer: "agent", rule };
  return { verdict: PolicyVerdict.DENY, layer: "agent", rule: `tools: [${patterns.join(", ")}]` };
}
