/** Random logs that a run could have written, with what a crash may have lost, for tests of folds. */
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { BlockKind } from "../../gen/atoll/event/v1/block_events_pb.ts";
import type { ApprovalDecision, ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { type EventInit, encodeEvent } from "../../services/kernel/event/encode-event.ts";
import type { StoredEvent } from "../../services/kernel/event/stored-event.ts";
import { encodeEventTime, stampEvent } from "../../services/kernel/event/wire/stamp-event.ts";

type Body = NonNullable<EventInit["body"]>;

const anyStep = fc.record({
  kind: fc.constantFrom(
    ...(["text", "text", "text", "text", "text", "text", "think", "think", "complete", "lose", "discard"] as const),
    ...(["propose", "start", "progress", "finish", "ask", "decide", "steer", "usage", "step", "resume"] as const),
    ...(["wait", "mend", "leaveOut"] as const),
  ),
  block: fc.constantFrom("1.1.0", "1.1.1"),
  text: fc.string({ unit: "grapheme", maxLength: 6 }),
  /** How many code points a delta takes back. */
  back: fc.constantFrom(0, 0, 0, 0, 0, 1, 3),
  call: fc.constantFrom("call_1", "call_2"),
  width: fc.integer({ min: 1, max: 4 }),
});

type Step = typeof anyStep extends fc.Arbitrary<infer S> ? S : never;

/** Dense from 1; as it was written, nothing merged. */
export const anyLog: fc.Arbitrary<readonly StoredEvent[]> = fc
  .array(anyStep, { minLength: 1, maxLength: 60 })
  .map((steps) => new LogWriter().write(steps));

class LogWriter {
  readonly #events: StoredEvent[] = [];
  /** The text of each block, with what was lost of it. */
  readonly #texts = new Map<string, string>();
  #seq = 0;
  #attempt = 1;

  write(steps: readonly Step[]): StoredEvent[] {
    this.#say({ case: "messageReceived", value: { messageId: "msg_1", runId: "run_1" } });
    this.#say({ case: "runQueued", value: { messageIds: ["msg_1"], agentId: "main" } });
    this.#say({ case: "runStarted", value: { workerId: "w1", epoch: 1n } });
    for (const step of steps) {
      const body = this.#bodyOf(step);
      if (body !== undefined) this.#say(body, step.kind === "lose" ? step.width : 1);
    }
    this.#say({ case: "runFinished", value: { status: 1 } });
    return this.#events;
  }

  /** Undefined where there is nothing to say it of. */
  #bodyOf({ kind, block, text, back, call, width }: Step): Body | undefined {
    const callId = call;
    const tool = "files.read";
    const blockId = `${this.#attempt}.${block}`;
    switch (kind) {
      case "text":
        return { case: "textDelta", value: this.#grow(blockId, text, back) };
      case "think":
        return { case: "thinkingDelta", value: this.#grow(`${blockId}t`, text, back) };
      case "complete": {
        const whole = this.#texts.get(blockId);
        if (whole === undefined) return undefined;
        const value = { blockId, kind: BlockKind.TEXT, length: BigInt(Buffer.byteLength(whole)), crc32: crc32(whole) };
        return { case: "blockCompleted", value };
      }
      case "lose":
        this.#grow(blockId, text, 0);
        return { case: "logTruncated", value: { reason: "a crash" } };
      case "discard":
        this.#texts.clear();
        return { case: "stepDiscarded", value: { step: 1, attempt: this.#attempt++, reason: 2 } };
      case "propose":
        return { case: "toolCallProposed", value: { callId, tool, argumentsJson: JSON.stringify({ path: text }) } };
      case "start":
        return { case: "toolCallStarted", value: { callId, tool } };
      case "progress":
        return { case: "toolProgress", value: { callId, progress: width, total: 4, message: text } };
      case "finish": {
        const content = [{ block: { case: "text" as const, value: { text } } }];
        return { case: "toolCallFinished", value: { callId, outcome: width as ToolOutcome, content } };
      }
      case "ask": {
        const approvalId = `apr_${callId}`;
        return { case: "approvalRequested", value: { approvalId, callId, tool, digest: "sha256:1" } };
      }
      case "decide":
        return {
          case: "approvalResolved",
          value: { approvalId: `apr_${callId}`, decision: width as ApprovalDecision },
        };
      case "steer": {
        const content = [{ block: { case: "text" as const, value: { text } } }];
        return {
          case: "messageReceived",
          value: { messageId: `msg_${this.#seq}`, runId: "run_1", content },
        };
      }
      case "usage":
        return { case: "usage", value: { inputTokens: BigInt(width), outputTokens: 2n } };
      case "step":
        return { case: "stepStarted", value: { model: "offline" } };
      case "wait":
        return { case: "modelWaiting", value: { waitMs: 1000n, reason: text, retry: width, of: 4 } };
      case "mend":
        return { case: "historyMended", value: { reason: text } };
      case "leaveOut":
        return { case: "toolLeftOut", value: { tool, reason: text } };
      case "resume":
        return { case: "runResumed", value: { attempt: this.#attempt, reason: text } };
    }
  }

  /** What a delta says that takes some code points back and goes on with `text`. */
  #grow(blockId: string, text: string, back: number): { blockId: string; offset: bigint; text: string } {
    const known = Array.from(this.#texts.get(blockId) ?? "");
    const kept = known.slice(0, Math.max(0, known.length - back)).join("");
    this.#texts.set(blockId, kept + text);
    return { blockId, offset: BigInt(Buffer.byteLength(kept)), text };
  }

  #say(body: Body, width = 1): void {
    const firstSeq = this.#seq + 1;
    this.#seq += width;
    const encoded = encodeEvent({ runId: "run_1", step: 1, attempt: this.#attempt, body });
    const bytes = stampEvent(encoded, firstSeq, this.#seq, encodeEventTime(1_700_000_000_000));
    this.#events.push({ firstSeq, seq: this.#seq, bytes });
  }
}
