/** What tests read of the tool calls of a run. */
import { expect } from "vitest";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { runTheLoop } from "../agent.fixture.ts";

const outcomeName = (outcome: ToolOutcome) =>
  Object.entries(ToolOutcome).find(([, number]) => number === outcome)?.[0] ?? "";

/** Each call that was proposed has one outcome, in front of RunFinished. */
export function outcomesOf({ kinds, of }: Awaited<ReturnType<typeof runTheLoop>>) {
  expect(kinds.indexOf("runFinished")).toBe(kinds.length - 1);
  const outcomes = of("toolCallFinished").map(({ callId, outcome }) => [callId, outcomeName(outcome)]);
  expect(outcomes).toHaveLength(new Set(outcomes.map(([callId]) => callId)).size);
  return Object.fromEntries(outcomes) as Record<string, string>;
}
