/** A mesh whose model API is the scripted fake, with a client. */
import { onTestFailed } from "vitest";
import { type FakeAnthropic, startFakeAnthropic } from "../support/fake-anthropic/start-fake-anthropic.ts";
import { type MeshProcess, type MeshProcessOptions, startMeshProcess } from "../support/mesh-process.ts";
import { clientOver, type MeshClient } from "./mesh-client.fixture.ts";
import { answerAsAsked } from "./scripted-model.fixture.ts";

export interface ScriptedMesh {
  readonly fake: FakeAnthropic;
  readonly mesh: MeshProcess;
  readonly client: MeshClient;
  readonly stop: () => Promise<void>;
}

export async function startScriptedMesh(options: MeshProcessOptions): Promise<ScriptedMesh> {
  const fake = await startFakeAnthropic({ script: answerAsAsked });
  try {
    const env = { ANTHROPIC_API_KEY: "test", ANTHROPIC_BASE_URL: fake.url, ...options.env };
    const mesh = await startMeshProcess({ ...options, env });
    const stop = async () => {
      await mesh.stop();
      await fake.close();
    };
    return { fake, mesh, client: clientOver(mesh.transport()), stop };
  } catch (error) {
    await fake.close();
    throw error;
  }
}

/** A test that fails shows what the mesh had to say. */
export function showLogOnFailure(mesh: MeshProcess): void {
  onTestFailed(() => {
    process.stderr.write(`${mesh.log()}\n`);
  });
}
