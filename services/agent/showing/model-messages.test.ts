import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ToolCallFinishedSchema, ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { ConversationRun, Step } from "../memory/conversation.ts";
import type { ModelMessage } from "../models/model.ts";
import { toModelMessages } from "./model-messages.ts";

const content = (text: string) => [
  { $typeName: "atoll.content.v1.ContentBlock" as const, block: { case: "text" as const, value: words(text) } },
];
const words = (text: string) => ({ $typeName: "atoll.content.v1.TextContent" as const, text });

/** What one run of a conversation is made of. */
interface RunShape {
  readonly asked: number;
  readonly steps: readonly { readonly read: number; readonly says: boolean; readonly calls: number }[];
}

function toRun({ asked, steps }: RunShape, index: number): ConversationRun {
  const name = `r${index}`;
  return {
    runId: name,
    workedMs: 0,
    lastAtMs: 0,
    firstSeq: 0,
    unread: [],
    messages: Array.from({ length: asked }, (_, n) => content(`${name} asked ${n}`) as never),
    steps: steps.map(({ read, says, calls }, s): Step => {
      const step = `${name} step ${s}`;
      const callIds = Array.from({ length: calls }, (_, n) => `${step} call ${n}`);
      return {
        step: s + 1,
        attempt: 1,
        modelDone: true,
        outputTokens: 0,
        stopReason: "",
        read: Array.from({ length: read }, (_, n) => ({
          messageId: `${step} ${n}`,
          content: content(`${step} read ${n}`) as never,
        })),
        items: [
          ...(says
            ? [
                {
                  kind: "block" as const,
                  blockId: "1",
                  block: "text" as const,
                  text: `${step} said`,
                  completed: true,
                  signature: new Uint8Array(),
                  redacted: false,
                },
              ]
            : []),
          ...callIds.map((callId) => ({
            kind: "call" as const,
            callId,
            tool: "t",
            argumentsJson: "{}",
            finished: create(ToolCallFinishedSchema, { callId, outcome: ToolOutcome.SUCCEEDED }),
          })),
        ],
      };
    }),
  };
}

const runsOf = (shapes: readonly RunShape[]) => shapes.map(toRun);
/** The messages that a person would count. */
const countOf = ({ asked, steps }: RunShape): number =>
  asked + steps.reduce((sum, { read }) => sum + read, 0) + (steps.length > 0 ? 1 : 0);
const callsIn = (messages: readonly ModelMessage[], type: "tool_use" | "tool_result") =>
  messages.flatMap(({ content: blocks }) => blocks.flatMap((block) => (block.type === type ? [block.callId] : [])));

const plain: RunShape = { asked: 1, steps: [{ read: 0, says: true, calls: 0 }] };
const working: RunShape = { asked: 1, steps: Array.from({ length: 20 }, () => ({ read: 0, says: true, calls: 2 })) };

describe("the bound on what a model is shown", () => {
  it("counts what people said and one answer a run, whatever tools the answer took", () => {
    const runs = runsOf([plain, working, plain]);
    expect(toModelMessages({ runs }, 6)).toEqual(toModelMessages({ runs }, 1_000));
    expect(toModelMessages({ runs }, 5)).toEqual(toModelMessages({ runs: runs.slice(1) }, 1_000));
    expect(toModelMessages({ runs }, 3)).toEqual(toModelMessages({ runs: runs.slice(2) }, 1_000));
  });

  it("counts what steered a run", () => {
    const steered: RunShape = { asked: 1, steps: [{ read: 3, says: true, calls: 0 }] };
    const runs = runsOf([plain, steered, plain]);
    expect(toModelMessages({ runs }, 7)).toEqual(toModelMessages({ runs: runs.slice(1) }, 1_000));
    expect(toModelMessages({ runs }, 6)).toEqual(toModelMessages({ runs: runs.slice(2) }, 1_000));
  });

  it("never cuts the run at work, however long it is", () => {
    const runs = runsOf([plain, working]);
    const messages = toModelMessages({ runs }, 1);
    expect(messages).toEqual(toModelMessages({ runs: runs.slice(1) }, 1_000));
    expect(messages).toHaveLength(1 + 20 * 2);
  });

  it("shows nothing of an empty conversation", () => {
    expect(toModelMessages({ runs: [] }, 100)).toEqual([]);
  });

  it("leaves whole runs out, the oldest first, and no more of them than it must", () => {
    const step = fc.record({
      read: fc.integer({ min: 0, max: 2 }),
      says: fc.boolean(),
      calls: fc.integer({ min: 0, max: 3 }),
    });
    const shape = fc.record({ asked: fc.integer({ min: 1, max: 3 }), steps: fc.array(step, { maxLength: 4 }) });
    fc.assert(
      fc.property(fc.array(shape, { minLength: 1, maxLength: 12 }), fc.integer({ min: 0, max: 40 }), (shapes, max) => {
        const runs = runsOf(shapes);
        const messages = toModelMessages({ runs }, max);
        // The newest runs, each of them whole.
        const kept = runs.findIndex((_, from) => {
          const whole = toModelMessages({ runs: runs.slice(from) }, Number.POSITIVE_INFINITY);
          return JSON.stringify(whole) === JSON.stringify(messages);
        });
        expect(kept).toBeGreaterThanOrEqual(0);
        const count = shapes.slice(kept).reduce((sum, each) => sum + countOf(each), 0);
        if (kept < runs.length - 1) expect(count).toBeLessThanOrEqual(max);
        // One more would be too many.
        const before = shapes[kept - 1];
        if (before !== undefined) expect(count + countOf(before)).toBeGreaterThan(max);
        expect(callsIn(messages, "tool_result")).toEqual(callsIn(messages, "tool_use"));
        for (const [index, { content: blocks }] of messages.entries()) {
          const results = blocks.filter((block) => block.type === "tool_result").length;
          if (results > 0) expect(callsIn(messages.slice(index - 1, index), "tool_use")).toHaveLength(results);
        }
      }),
      { numRuns: 500 },
    );
  });
});
