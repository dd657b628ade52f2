import { expect, it } from "vitest";
import { PolicyVerdict } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { decidePolicy } from "./tool-policy.ts";

it.each([
  ["filesystem.*", "filesystem.read", true],
  ["filesystem.*", "filesystem2.read", false],
  ["*.read_*", "filesystem.read_file", true],
  ["*.read_*", "filesystem.write_file", false],
  ["*", "anything.at_all", true],
  ["a.b", "a.b", true],
  ["a.b", "a.bc", false],
  ["a*a", "a", false],
  ["a.*x*x", "a.x", false],
  ["a.*x*x", "a.xx", true],
])("the pattern %s and the tool %s match: %s", (pattern, tool, isAllowed) => {
  const { verdict } = decidePolicy(tool, [pattern]);
  expect(verdict).toBe(isAllowed ? PolicyVerdict.ALLOW : PolicyVerdict.DENY);
});

it("names the pattern that decided", () => {
  expect(decidePolicy("a.b", ["x.*", "a.*"])).toEqual({ verdict: PolicyVerdict.ALLOW, layer: "agent", rule: "a.*" });
  expect(decidePolicy("a.b", [])).toEqual({ verdict: PolicyVerdict.ALLOW, layer: "profile", rule: "default" });
});
