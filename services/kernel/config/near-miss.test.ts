import { expect, it } from "vitest";
import { nearMiss } from "./near-miss.ts";

it.each([
  ["comand", "command"],
  ["lease_ttl_ms", "leaseTtlMs"],
  ["leaseTtl", "leaseTtlMs"],
  ["agrs", "args"],
  ["mcp_servers", "mcpServers"],
  ["xyz", undefined],
  ["", undefined],
])("takes %j for %j", (found, meant) => {
  expect(nearMiss(found, ["command", "args", "env", "leaseTtlMs", "mcpServers"])).toBe(meant);
});
