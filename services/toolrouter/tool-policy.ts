/**
 * Says whether an agent may use a tool (T3): a pure function of the layers there are. Today that is one, the agent's own
 * list of patterns; where no layer speaks, the default allows.
 */
import { PolicyVerdict } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";

export interface PolicyDecision {
  readonly verdict: typeof PolicyVerdict.ALLOW | typeof PolicyVerdict.DENY;
  readonly layer: "profile" | "agent";
  /** The rule that decided, as it is written in the configuration; `default` when none is written. */
  readonly rule: string;
}

/** `patterns` are the agent's, such as `filesystem.*`; undefined or empty: the agent may use every tool. */
export function decidePolicy(tool: string, patterns: readonly string[] | undefined): PolicyDecision {
  if (patterns === undefined || patterns.length === 0) {
    return { verdict: PolicyVerdict.ALLOW, layer: "profile", rule: "default" };
  }
  const rule = patterns.find((pattern) => matches(pattern, tool));
  if (rule !== undefined) return { verdict: PolicyVerdict.ALLOW, layer: "agent", rule };
  return { verdict: PolicyVerdict.DENY, layer: "agent", rule: `tools: ${patterns.join(", ")}` };
}

/** `*` stands for any characters, also none. Linear in the lengths: no regular expression comes from configuration. */
function matches(pattern: string, name: string): boolean {
  const [head = "", ...parts] = pattern.split("*");
  const tail = parts.pop();
  if (tail === undefined) return pattern === name;
  if (!name.startsWith(head) || !name.endsWith(tail) || name.length < head.length + tail.length) return false;
  let at = head.length;
  for (const part of parts) {
    const found = name.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= name.length - tail.length;
}
