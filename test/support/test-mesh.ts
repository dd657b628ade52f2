/**
 * A mesh in the process of a test, with a fake model on a real socket: what `atoll-mesh/testing` gives to programs that
 * embed Atoll. The fake says what its script says (`atoll-mesh/testing/script`), and refuses what the real API refuses.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig, type MeshConfigInput } from "../../services/kernel/config/define-config.ts";
import { type Mesh, startMesh } from "../../services/mesh/start-mesh.ts";
import {
  type FakeAnthropic,
  type FakeAnthropicOptions,
  startFakeAnthropic,
} from "./fake-anthropic/start-fake-anthropic.ts";

export interface TestMeshOptions {
  /** What goes over a configuration without MCP servers, on a free port, in a folder of its own. */
  readonly config?: MeshConfigInput;
  /** What the model says. Default: text of 20 tokens. */
  readonly model?: FakeAnthropicOptions;
}

export interface TestMesh extends Pick<Mesh, "url" | "token"> {
  readonly model: FakeAnthropic;
  /** Where the data folder and the workspace are; `close` removes it. */
  readonly folder: string;
  readonly close: () => Promise<void>;
}

const drainTimeoutMs = 5_000;

export async function startTestMesh({ config = {}, model = {} }: TestMeshOptions = {}): Promise<TestMesh> {
  const fake = await startFakeAnthropic(model);
  const folder = await mkdtemp(join(tmpdir(), "atoll-test-"));
  const remove = async (): Promise<void> => {
    await fake.close();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const input: MeshConfigInput = {
      listen: "127.0.0.1:0",
      log: { level: "warn" },
      models: { anthropic: { apiKey: "test", baseUrl: fake.url } },
      mcpServers: { filesystem: { disabled: true } },
      ...config,
    };
    const mesh = await startMesh({ config: defineConfig(input, { cwd: folder }) });
    return {
      url: mesh.url,
      token: mesh.token,
      model: fake,
      folder,
      async close() {
        await mesh.lifecycle.drainAndClose({ drainTimeoutMs });
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
