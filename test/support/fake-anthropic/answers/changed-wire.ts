/** What a wire, a proxy or another maker of the API may do to a sound answer, for property tests. */
import fc from "fast-check";
import type { FakeBlock } from "../script.ts";
import { answerEvents } from "./answer-events.ts";
import type { ApiEvent } from "./api-event.ts";

/** The lines of a sound answer, one event each. */
export function soundLines(blocks: readonly FakeBlock[]): string[] {
  const events: readonly ApiEvent[] = answerEvents({
    id: "msg_1",
    model: "claude-haiku-4-5",
    blocks,
    stopReason: blocks.some(({ type }) => type === "tool_use") ? "tool_use" : "end_turn",
    usage: { input_tokens: 3, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 },
  }).map(({ data }) => data);
  return events.map((data) => JSON.stringify(data));
}

type Change = (lines: string[], at: number, other: number) => void;

function replaceIn(lines: string[], at: number, found: RegExp, by: string): void {
  lines[at] = (lines[at] ?? "").replace(found, by);
}

const changes: readonly Change[] = [
  (lines, at) => void lines.splice(at, 1),
  (lines, at) => void lines.splice(at, 0, lines[at] ?? ""),
  (lines, at, other) => void lines.splice(other, 0, ...lines.splice(at, 1)),
  (lines, at) => void lines.splice(at),
  (lines, at, other) => replaceIn(lines, at, /"index":\d+/, `"index":${other % 5}`),
  (lines, at) => replaceIn(lines, at, /"index":\d+/, '"index":"x"'),
  (lines, at) => replaceIn(lines, at, /"usage":\{[^}]*\}/, '"usage":{"input_tokens":-1,"output_tokens":1e30}'),
  (lines, at) => replaceIn(lines, at, /"usage":/, '"no_usage":'),
  (lines, at, other) => void lines.splice(at, 1, (lines[at] ?? "").slice(0, other)),
  (lines, at) => replaceIn(lines, at, /"text":"[^"]*"/, '"text":"\\ud83d"'),
  (lines, at) => replaceIn(lines, at, /"text":"[^"]*"/, '"text":7'),
  (lines, at) => replaceIn(lines, at, /"partial_json":"[^"]*"/, '"partial_json":"{\\"a\\":1e400"'),
  (lines, at) => replaceIn(lines, at, /"type":"[a-z_]*"/, '"type":"future"'),
  (lines, at) => replaceIn(lines, at, /"stop_reason":"[a-z_]*"/, '"stop_reason":"end_turn"'),
  (lines, at) =>
    void lines.splice(
      at,
      0,
      '{"type":"ping"}',
      '{"type":"error","error":{"type":"overloaded_error","message":"busy"}}',
    ),
  (lines, at) => void lines.splice(at, 0, '{"type":"message_stop"}'),
  (lines, at) => void lines.splice(at, 1, "null"),
];

const anyChange = fc.tuple(fc.constantFrom(...changes), fc.nat(60), fc.nat(60));

/** Up to five changes. */
export const anyChanges = fc.array(anyChange, { maxLength: 5 });

/** The pieces of the changed answer; `named`: whether each event has a line `event:`. */
export function changedPieces(
  sound: readonly string[],
  given: readonly (readonly [Change, number, number])[],
  named: boolean,
): string[] {
  const lines = [...sound];
  for (const [change, at, other] of given) change(lines, at % Math.max(1, lines.length), other);
  return lines.map((line) => `${named ? "event: x\n" : ""}data: ${line}\n\n`);
}
