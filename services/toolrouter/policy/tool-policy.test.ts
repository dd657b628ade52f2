import { describe, expect, it } from "vitest";
import { PolicyVerdict } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { decidePolicy, patternsOf } from "./tool-policy.ts";

describe("the tools of an agent", () => {
  const agents = new Map([
    ["main", ["a.*"]],
    ["none", []],
    ["all", ["*"]],
    ["blank", [""]],
    ["lost", ["nobody.*"]],
  ]);

  it.each([
    ["main", true],
    ["all", true],
    ["none", false],
    ["blank", false],
    ["lost", false],
    ["invented", false],
    // No agent is asked for: a person with the right to call tools.
    ["", true],
  ])(`of %s: a.b is allowed: %s ${verifies("E13")}`, (agent, isAllowed) => {
    const { verdict } = decidePolicy("a.b", patternsOf(agents, agent));
    expect(verdict).toBe(isAllowed ? PolicyVerdict.ALLOW : PolicyVerdict.DENY);
  });

  it("name the pattern that decided", () => {
    expect(decidePolicy("a.b", ["x.*", "a.*"])).toEqual({ verdict: PolicyVerdict.ALLOW, layer: "agent", rule: "a.*" });
    expect(decidePolicy("a.b", undefined)).toEqual({ verdict: PolicyVerdict.ALLOW, layer: "profile", rule: "default" });
    expect(decidePolicy("a.b", [])).toEqual({ verdict: PolicyVerdict.DENY, layer: "agent", rule: "tools: []" });
  });

  it("are all of them where no agent is configured", () => {
    expect(decidePolicy("a.b", patternsOf(new Map(), "main")).verdict).toBe(PolicyVerdict.ALLOW);
  });
});
