import { readFileSync } from "node:fs";
import type { DescMessage } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { McpServerSchema } from "../../../gen/atoll/config/v1/mcp_server_pb.ts";
import {
  AgentConfigSchema,
  file_atoll_config_v1_mesh_config,
  LifecycleConfigSchema,
  LimitsConfigSchema,
  RunsConfigSchema,
  SessionsConfigSchema,
} from "../../../gen/atoll/config/v1/mesh_config_pb.ts";
import { rulesOf } from "./reading/field-rules.ts";
import { defaults, overridableSettings } from "./settings.ts";

function protoText(name: string): string {
  return readFileSync(new URL(`../../../proto/atoll/config/v1/${name}.proto`, import.meta.url), "utf8");
}

/** The comment above a field of a message. */
function commentOf(desc: DescMessage, fieldName: string): string {
  const file = desc === McpServerSchema ? "mcp_server" : "mesh_config";
  const body = protoText(file).split(`message ${desc.name} {`)[1] ?? "";
  const lines = body
    .slice(0, body.search(new RegExp(`\\b${fieldName} = \\d`)))
    .split("\n")
    .slice(0, -1);
  const start = lines.findLastIndex((line) => !line.trim().startsWith("//")) + 1;
  return lines
    .slice(start)
    .join(" ")
    .replace(/\s*\/\/\s*/g, " ");
}

describe("defaults", () => {
  it.each([
    [LimitsConfigSchema, defaults.limits],
    [RunsConfigSchema, defaults.runs],
    [SessionsConfigSchema, { ...defaults.sessions, maxLogBytes: defaults.sessionsMaxLogBytes }],
    [LifecycleConfigSchema, defaults.lifecycle],
    [AgentConfigSchema, { ...defaults.agent, maxDurationMs: defaults.agentMaxDurationMs }],
    [McpServerSchema, defaults.mcpServer],
  ] as const)("of %s are those that its comments state, and none is left out", (desc, values) => {
    const numbers = desc.fields.filter((field) => field.fieldKind === "scalar" && rulesOf(field).max !== undefined);
    const stated = numbers.map((field) => {
      const [, value] = /Default (\d+)/.exec(commentOf(desc, field.name)) ?? [];
      return [field.localName, Number(value)];
    });
    expect(values).toEqual(Object.fromEntries(stated));
  });

  it("in words are those that the comments state", () => {
    const text = protoText("mesh_config");
    expect(text).toContain(`Default \`${defaults.listen}\``);
    expect(text).toContain(`Default \`${defaults.data}\``);
    expect(text).toContain(`Default \`${defaults.defaultAgent}\``);
    expect(text).toContain(
      `\`${defaults.defaultModel.withKey}\` with a key, else \`${defaults.defaultModel.withoutKey}\``,
    );
    expect(text).toContain(`Default \`${defaults.agentQueueMode}\``);
    expect(text).toContain(`Default \`${defaults.rpcUnary}\``);
    expect(text).toContain(`Default \`${defaults.sessionsDirectScope}\``);
  });
});

describe("overridableSettings", () => {
  it("are the environment variables and flags that the comments name", () => {
    const text = protoText("mesh_config");
    const variables = [...text.matchAll(/Environment: (\w+)/g)].map(([, name]) => name);
    const flags = [...text.matchAll(/Flag: --([\w-]+)/g)].map(([, name]) => name);
    expect(new Set(overridableSettings.map(({ variable }) => variable))).toEqual(new Set(variables));
    expect(new Set(overridableSettings.flatMap(({ flag }) => flag?.name ?? []))).toEqual(new Set(flags));
  });
});

describe("rulesOf", () => {
  it("knows every rule that the contract uses", () => {
    const messages = [...file_atoll_config_v1_mesh_config.messages, McpServerSchema];
    const fields = messages.flatMap((message) => message.fields);
    expect(fields.map(rulesOf).filter((rules) => Object.keys(rules).length > 0).length).toBeGreaterThan(50);
  });
});
