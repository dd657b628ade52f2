import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { toJsonString } from "@bufbuild/protobuf";
import { afterAll, expect, it } from "vitest";
import { MeshConfigSchema } from "../../../gen/atoll/config/v1/mesh_config_pb.ts";
import { loadConfig } from "./load-config.ts";
import { redactConfig } from "./redact-config.ts";

const cwd = mkdtempSync(path.join(tmpdir(), "atoll-redact-"));
afterAll(() => rmSync(cwd, { recursive: true }));

const full = `
listen: "[::1]:0"
models: {anthropic: {baseUrl: "https://me:s3cret@h/v1?key=s3cret"}}
mcpServers:
  files: {command: x, args: [--api-key=s3cret, --token, s3cret, --verbose, "PASSWORD=s3cret", "http://u:s3cret@h"], env: {K: s3cret}}
  web: {url: "https://h/mcp?api_key=s3cret", headers: {Authorization: "Bearer \${KEY}"}}
peers: {agent: "http://u:s3cret@h:1"}
agents: {main: {tools: ["files.*"], maxDurationMs: 5}}
sessions: {directScope: main, bindings: {"thread:slack:*": main}}
`;

it("shows what is in force, defaults included, without any secret", () => {
  writeFileSync(path.join(cwd, "atoll.yaml"), full);
  const config = loadConfig({ cwd, env: { KEY: "s3cret", ANTHROPIC_API_KEY: "s3cret", PATH: "/bin" } });
  const shown = redactConfig(config);
  expect(toJsonString(MeshConfigSchema, shown)).not.toContain("s3cret");
  expect(shown).toMatchObject({
    listen: "[::1]:0",
    runs: { leaseTtlMs: 5000 },
    models: { defaultModel: "anthropic/claude-sonnet-5-5", anthropic: { apiKey: "[kept]" } },
    agents: { main: { tools: ["files.*"], maxDurationMs: 5n } },
    sessions: { directScope: "main", bindings: { "thread:slack:*": "main" } },
  });
  expect(shown.mcpServers.files).toMatchObject({
    args: ["--api-key=[kept]", "--token", "[kept]", "--verbose", "PASSWORD=[kept]", "http://[kept]@h"],
    env: { K: "[kept]" },
  });
  expect(shown.mcpServers.web).toMatchObject({
    url: "https://h/mcp?[kept]",
    headers: { Authorization: `Bearer \${KEY}` },
  });
});

it("is a configuration that can be read again", () => {
  writeFileSync(path.join(cwd, "atoll.yaml"), "");
  const shown = redactConfig(loadConfig({ cwd, env: {} }));
  writeFileSync(path.join(cwd, "atoll.yaml"), toJsonString(MeshConfigSchema, shown));
  expect(() => loadConfig({ cwd, env: {} })).not.toThrow();
});
