import { crc32 } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Event } from "../../../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../../../test/requirements.ts";
import { anyChanges, changedPieces, soundLines } from "../../../../test/support/fake-anthropic/answers/changed-wire.ts";
import { text } from "../../../../test/support/fake-anthropic/script.ts";
import {
  type FakeAnthropic,
  startFakeAnthropic,
} from "../../../../test/support/fake-anthropic/start-fake-anthropic.ts";
import { systemClock } from "../../../kernel/clock.ts";
import { ErrorReason } from "../../../kernel/errors.ts";
import { createLog } from "../../../kernel/log.ts";
import { runTheLoop } from "../../agent.fixture.ts";
import { createAnthropicModel } from "./anthropic-model.ts";

let fake: FakeAnthropic;

beforeAll(async () => {
  fake = await startFakeAnthropic();
});

afterAll(() => fake.close());

const sound = soundLines([
  { type: "thinking", thinking: "So so, 🏝." },
  { type: "text", text: "Hello dear ü friend." },
  { type: "tool_use", id: "toolu_1", name: "files__read", input: { path: "a long enough path" } },
  { type: "text", text: "And more." },
]);

/** Blocks by step, as a reader of the log sees them when the run has ended. */
function readBlocks(events: readonly Event[]) {
  const blocks = new Map<string, { step: number; text: string; whole: boolean }>();
  for (const { body, step } of events) {
    if (body.case === "textDelta" || body.case === "thinkingDelta") {
      const block = blocks.get(body.value.blockId) ?? { step, text: "", whole: false };
      expect(block.whole).toBe(false);
      expect(Number(body.value.offset)).toBe(Buffer.byteLength(block.text));
      expect(body.value.text.isWellFormed()).toBe(true);
      block.text += body.value.text;
      blocks.set(body.value.blockId, block);
    } else if (body.case === "blockCompleted") {
      const block = blocks.get(body.value.blockId) ?? { step, text: "", whole: false };
      expect(Number(body.value.length)).toBe(Buffer.byteLength(block.text));
      expect(body.value.crc32).toBe(crc32(Buffer.from(block.text)));
      block.whole = true;
      blocks.set(body.value.blockId, block);
    } else if (body.case === "stepDiscarded") {
      for (const [id, block] of blocks) if (block.step === body.value.step) blocks.delete(id);
    }
  }
  return blocks;
}

it(`ends every answer in a typed way, and leaves no block half said in what has ended well ${verifies("FW7", "S3", "FW6", "FL8")}`, async () => {
  const log = createLog({ level: "silent", format: "json" });
  const settings = { apiKey: "k", baseUrl: fake.url, maxRetries: 0, timeoutMs: 60_000, silenceMs: 30_000 };
  const model = createAnthropicModel(settings, { clock: systemClock, log });
  const found = { name: "anthropic/claude-haiku-4-5", makerName: "claude-haiku-4-5", model };
  const models = { resolve: () => found, list: () => [] };
  const seen = { completed: 0, failed: 0 };
  await fc.assert(
    fc.asyncProperty(anyChanges, fc.boolean(), async (given, named) => {
      const pieces = changedPieces(sound, given, named);
      let calls = 0;
      fake.setScript(() => (calls++ === 0 ? { kind: "raw", pieces } : text("done")));
      const run = await runTheLoop({
        scripts: [],
        models,
        agent: { model: "claude-haiku-4-5", thinkingTokens: 2_000 },
      });
      expect(run.error).toBeUndefined();
      expect(run.kinds.filter((kind) => kind === "runFinished")).toHaveLength(1);
      const { finished } = run;
      if (finished?.status === RunStatus.COMPLETED) {
        seen.completed += 1;
        for (const block of readBlocks(run.events).values()) expect(block.whole).toBe(true);
        const proposed = run.of("toolCallProposed").map(({ callId }) => callId);
        expect(
          run
            .of("toolCallFinished")
            .map(({ callId }) => callId)
            .sort(),
        ).toEqual(proposed.sort());
      } else {
        seen.failed += 1;
        expect(finished?.failure?.reason).toBeOneOf([ErrorReason.MODEL_UNAVAILABLE, ErrorReason.MODEL_GAVE_NO_ANSWER]);
      }
      // A step that has its Usage has no block open.
      const ended = new Set(run.events.filter(({ body }) => body.case === "usage").map(({ step }) => step));
      for (const block of readBlocks(run.events).values()) if (ended.has(block.step)) expect(block.whole).toBe(true);
    }),
    { numRuns: 150, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
  );
  // Neither all of them fail nor none.
  expect(seen.completed).toBeGreaterThan(0);
  expect(seen.failed).toBeGreaterThan(0);
}, 60_000);
