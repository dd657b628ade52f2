/**
 * The model called with its SDK alone, streaming: what an application without a mesh does.
 *
 * Sends what the mesh sends: the same instructions, tools and settings, and a history that grows alike.
 */
import Anthropic from "@anthropic-ai/sdk";
import { createClient } from "@connectrpc/connect";
import { GatewayService } from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { startFakeAnthropic } from "../../support/fake-anthropic/start-fake-anthropic.ts";
import { startMeshProcess } from "../../support/mesh-process.ts";
import { endWithBench } from "../end-in-time.ts";
import { prompt, type TurnTimes, turnTimeoutMs, type Way } from "./turn-times.ts";

export type RequestTemplate = Omit<Anthropic.MessageCreateParamsStreaming, "messages">;

/** Asks a mesh what it sends to the model in an ordinary turn. */
export async function captureRequest(): Promise<RequestTemplate> {
  const model = await startFakeAnthropic();
  const mesh = await startMeshProcess({ env: { ANTHROPIC_API_KEY: "bench", ANTHROPIC_BASE_URL: model.url } });
  for (const { child } of mesh.processes) endWithBench(child);
  try {
    const client = createClient(GatewayService, mesh.transport());
    const { runId } = await client.sendMessage({
      requestId: "capture",
      session: { case: "sessionKey", value: "capture" },
      message: { content: [{ block: { case: "text", value: { text: prompt } } }] },
    });
    await client.waitRun({ runId, timeoutMs: turnTimeoutMs });
    const body = model.requests()[0]?.body;
    if (body === undefined) throw new Error("the mesh did not call the model");
    const { messages: _messages, ...template } = body as unknown as Anthropic.MessageCreateParamsStreaming;
    return template;
  } finally {
    await mesh.stop();
    await model.close();
  }
}

export function openDirectWay(modelUrl: string, template: RequestTemplate): Way {
  const client = new Anthropic({ apiKey: "bench", baseURL: modelUrl, maxRetries: 0, timeout: turnTimeoutMs });
  return {
    name: "direct",
    openTalk() {
      const messages: Anthropic.MessageParam[] = [];
      return Promise.resolve({ turn: () => takeTurn(client, template, messages), close: () => Promise.resolve() });
    },
    cpuMs() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    },
    close: () => Promise.resolve(),
  };
}

async function takeTurn(
  client: Anthropic,
  template: RequestTemplate,
  messages: Anthropic.MessageParam[],
): Promise<TurnTimes> {
  const startedMs = performance.now();
  let firstTextMs = Number.NaN;
  let text = "";
  let events = 0;
  messages.push({ role: "user", content: prompt });
  for await (const event of await client.messages.create({ ...template, messages })) {
    events += 1;
    if (event.type !== "content_block_delta" || event.delta.type !== "text_delta") continue;
    if (text === "") firstTextMs = performance.now() - startedMs;
    text += event.delta.text;
  }
  const totalMs = performance.now() - startedMs;
  messages.push({ role: "assistant", content: text });
  return { firstTextMs, totalMs, textBytes: Buffer.byteLength(text), events };
}
