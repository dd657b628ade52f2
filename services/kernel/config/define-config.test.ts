import { describe, expect, it } from "vitest";
import { ConfigError } from "./config-error.ts";
import { defineConfig, type MeshConfigInput } from "./define-config.ts";

describe("a configuration that a program makes", () => {
  it("is complete, and its paths start from the folder", () => {
    const config = defineConfig(
      { listen: "127.0.0.1:0", agents: { main: { instructions: "Be brief." } }, runs: { leaseTtlMs: 7_000 } },
      { cwd: "/srv/app" },
    );
    expect(config).toMatchObject({
      listen: { host: "127.0.0.1", port: 0 },
      dataDir: "/srv/app/.atoll",
      configFile: undefined,
    });
    expect(config.agents.get("main")?.instructions).toBe("Be brief.");
    expect(config.runs.leaseTtlMs).toBe(7_000);
  });

  it("is not changed by the environment, but may name its variables", () => {
    const env = {
      ATOLL_LISTEN: "0.0.0.0:1",
      ATOLL_CONFIG: "/nowhere.yaml",
      ANTHROPIC_API_KEY: "key",
      GREETING: "hello",
    };
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration fills it in
    const server = { url: "https://mcp.example.com", headers: { authorization: "Bearer ${GREETING}" } };
    const config = defineConfig({ mcpServers: { files: server } }, { cwd: "/srv/app", env });
    expect(config.listen.port).toBe(18789);
    expect(config.models.anthropic.apiKey).toBeUndefined();
    expect(config.mcpServers.get("files")).toMatchObject({ headers: { authorization: "Bearer hello" } });
  });

  it("is refused with every problem at once", () => {
    const wrong = { lissten: "x", runs: { leaseTtlMs: "soon" } } as unknown as MeshConfigInput;
    expect(() => defineConfig(wrong)).toThrow(ConfigError);
    expect(() => defineConfig(wrong)).toThrow(/lissten[\s\S]*leaseTtlMs/);
  });
});
