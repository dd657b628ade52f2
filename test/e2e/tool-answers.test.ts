/** What servers answer, through router, log and worker to the strict Messages API: no answer costs more than itself. */
import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, onTestFailed, onTestFinished, test } from "vitest";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { jpeg, png } from "../../services/kernel/content/pictures.fixture.ts";
import { verifies } from "../requirements.ts";
import { type FakeReply, text } from "../support/fake-anthropic/script.ts";
import { sloppyProgram } from "../support/sloppy-mcp/sloppy-program.ts";
import { endsOf, expectDense, inSession, readLog, readUntilEnd, say } from "./mesh-client.fixture.ts";
import { startScriptedMesh } from "./scripted-mesh.fixture.ts";

const image = (bytes: Buffer, mimeType = "image/png") => ({ type: "image", data: bytes.toString("base64"), mimeType });

/** The answer to each call, the outcome, and what the model must have been sent of it. */
const answers: readonly [string, object, ToolOutcome, RegExp][] = [
  ["an object alone", { content: [], structuredContent: { sum: 5 } }, ToolOutcome.SUCCEEDED, /\{\\"sum\\":5\}/],
  [
    "a failure with a picture",
    { content: [image(jpeg())], isError: true },
    ToolOutcome.FAILED,
    /"media_type":"image\/jpeg"/,
  ],
  ["a JPEG called PNG", { content: [image(jpeg(3, 3))] }, ToolOutcome.SUCCEEDED, /"media_type":"image\/jpeg"/],
  ["an empty picture", { content: [image(Buffer.alloc(0))] }, ToolOutcome.SUCCEEDED, /it is empty/],
  ["a picture of 8 001 pixels", { content: [image(png(8_001, 1))] }, ToolOutcome.SUCCEEDED, /8001 × 1 pixels/],
  [
    "a picture of 3.6 MB",
    { content: [image(png(4, 4, 3_600_000))] },
    ToolOutcome.SUCCEEDED,
    /"media_type":"image\/png"/,
  ],
  ["an unknown block", { content: [{ type: "film" }] }, ToolOutcome.SUCCEEDED, /a block of type \\"film\\"/],
];

describe(`what a tool answers ${verifies("FA1", "FA2", "FA3", "FA4", "FA5", "FA7", "F1", "F3")}`, () => {
  test("reaches the model, and the session goes on", { timeout: 240_000 }, async () => {
    const { command, args } = sloppyProgram({ "tools/call": answers.map(([, result]) => [{ result }]) });
    const config = JSON.stringify({
      mcpServers: { filesystem: { disabled: true }, sloppy: { command, args } },
    });
    const { fake, mesh, client, stop } = await startScriptedMesh({ config });
    onTestFinished(stop, 60_000);
    onTestFailed(() => void process.stderr.write(`${mesh.log()}\n`));
    fake.setScript((body: JsonObject): FakeReply => {
      const last = (body["messages"] as JsonObject[]).at(-1);
      if (JSON.stringify(last?.["content"]).includes('"tool_result"')) return text("Seen.");
      return { kind: "answer", blocks: [{ type: "tool_use", name: "sloppy__work", input: {} }] };
    });
    let sessionId = "";
    for (const [name, , outcome, sent] of answers) {
      const ids = await say(client, name, sessionId === "" ? {} : inSession(sessionId));
      ({ sessionId } = ids);
      const events = await readUntilEnd(client, ids);
      expect([name, endsOf(events, ids.runId)[0]?.status]).toEqual([name, RunStatus.COMPLETED]);
      const finished = events.flatMap(({ body, runId }) =>
        body.case === "toolCallFinished" && runId === ids.runId ? [body.value.outcome] : [],
      );
      expect([name, finished]).toEqual([name, [outcome]]);
      const messages = fake.requests().at(-1)?.body["messages"];
      expect(JSON.stringify(Array.isArray(messages) ? messages.slice(-2) : [])).toMatch(sent);
    }
    expectDense(await readLog(client, sessionId));
  });
});
