/** Sessions on the fake API that refuses what it is told to. */
import type { JsonObject } from "@bufbuild/protobuf";
import { expect } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { apiError, type FakeReply, type FakeScript, text } from "../../../test/support/fake-anthropic/script.ts";
import type { RouterHandlers } from "../agent.fixture.ts";
import { type RealModel, type RealModelOptions, startRealModel } from "../real-model.fixture.ts";

export type Content = { block: { case: "text"; value: { text: string } } | { case: "image"; value: object } };

export const words = (said: string): Content => ({ block: { case: "text", value: { text: said } } });

/** A router whose tools answer with this content, call after call. */
export function answering(...contents: readonly (readonly Content[])[]): RouterHandlers {
  let calls = 0;
  return {
    listTools: () => ({ tools: [{ name: "files.read", description: "Reads." }] }),
    async *callTool(requests) {
      for await (const { frame } of requests) {
        if (frame.case !== "call") continue;
        const { callId, tool } = frame.value;
        yield { frame: { case: "started", value: { callId, tool } } };
        const content = contents[calls++ % contents.length] ?? [];
        yield {
          frame: { case: "result", value: { callId, outcome: ToolOutcome.SUCCEEDED, content: [...content] as never } },
        };
        return;
      }
    },
  };
}

export const callTool = (count = 1, input: JsonObject = {}): FakeReply => ({
  kind: "answer",
  blocks: Array.from({ length: count }, () => ({ type: "tool_use", name: "files__read", input })),
});

interface SentMessage {
  readonly role: string;
  readonly content: readonly JsonObject[];
}

export const messagesOf = (body: JsonObject): readonly SentMessage[] => body.messages as never;

/** Uses a tool once, then answers; refuses what `refuse` says. */
export function toolThenText(
  refuse: (body: JsonObject) => string | undefined,
  use: FakeReply = callTool(),
): FakeScript {
  return (body) => {
    const problem = refuse(body);
    if (problem !== undefined) return apiError(400, { message: problem });
    return JSON.stringify(body.messages).includes("tool_result") ? text("answered") : use;
  };
}

/** The session goes on: with this worker and with one that knows the log alone, and no request is refused any more. */
export async function expectToGoOn(real: RealModel, sessionId: string): Promise<void> {
  real.statuses();
  for (const replaced of [false, true]) {
    if (replaced) await real.replaceWorker();
    const { run } = await real.ask("and now?", sessionId);
    expect(run.status).toBe(RunStatus.COMPLETED);
    expect(real.statuses()).toEqual([200]);
  }
}

export const lastBody = (real: RealModel): string => JSON.stringify(real.fake.requests().at(-1)?.body.messages);

export async function start(options: RealModelOptions, script: FakeScript): Promise<RealModel> {
  const real = await startRealModel(options);
  real.fake.setScript(script);
  return real;
}
