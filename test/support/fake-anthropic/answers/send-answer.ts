/** Writes an answer's events to the client: at once or paced, whole or broken off. */
import type { ServerResponse } from "node:http";
import type { FakeBreak, FakeReply } from "../script.ts";
import { frame as apiFrame } from "./answer-events.ts";
import type { AnswerEvent } from "./api-event.ts";
import type { Pacer } from "./pacer.ts";
import type { TokenFrames } from "./token-frames.ts";

/** How a call ended. */
export type Outcome = "answered" | "refused" | "broken" | "client-gone";

export interface Sending {
  readonly response: ServerResponse;
  readonly pacer: Pacer;
  readonly delayMs: number;
  readonly finish: (outcome: Outcome) => void;
}

/** What a scripted answer says of its wire. */
type Wire = Pick<Extract<FakeReply, { kind: "answer" }>, "break" | "frame" | "trailer" | "keepsOpen">;

export function sendEvents(sending: Sending, events: readonly AnswerEvent[], wire: Wire): void {
  const { break: broken, frame = apiFrame } = wire;
  let deltas = 0;
  const steps = events.map((event) => (): boolean => {
    if (broken !== undefined && (event.delta || event.data.type === "message_stop") && deltas >= broken.afterDeltas) {
      breakOff(sending, broken);
      return false;
    }
    if (event.delta) deltas += 1;
    sending.response.write(frame(event.data));
    return true;
  });
  if (wire.trailer !== undefined) steps.push(() => sending.response.write(wire.trailer) || true);
  sendSteps(sending, steps, wire.keepsOpen);
}

export function sendRaw(sending: Sending, { pieces, ending = "end" }: Extract<FakeReply, { kind: "raw" }>): void {
  const { response, finish } = sending;
  const steps = pieces.map((piece) => (): boolean => response.write(piece) || true);
  if (ending === "cut") {
    steps.push(() => {
      breakOff(sending, { kind: "cut", afterDeltas: 0 });
      return false;
    });
  }
  if (pieces.length === 0) response.flushHeaders();
  sendSteps(sending, steps, ending === "stall");
  if (ending === "stall") finish("broken");
}

export function sendTokens(sending: Sending, start: string, frames: TokenFrames): void {
  const { response, delayMs, finish } = sending;
  if (delayMs === 0) {
    response.write(start);
    response.end(frames.whole);
    finish("answered");
    return;
  }
  response.write(start);
  response.write(frames.head);
  const steps = frames.tokens.map((token) => (): boolean => response.write(token) || true);
  steps.push(() => response.write(frames.tail) || true);
  sendSteps(sending, steps);
}

/** A step returns false when nothing may follow it. */
function sendSteps(
  { response, pacer, delayMs, finish }: Sending,
  steps: readonly (() => boolean)[],
  keepsOpen = false,
): void {
  let position = 0;
  const next = (): boolean => {
    if (response.destroyed) return false;
    const step = steps[position++];
    if (step !== undefined) return step();
    if (!keepsOpen) response.end();
    finish("answered");
    return false;
  };
  if (delayMs > 0) pacer.pace(delayMs, next);
  else while (next());
}

function breakOff({ response, finish }: Sending, broken: FakeBreak): void {
  finish("broken");
  switch (broken.kind) {
    case "cut":
      // What was written must reach the client first: a reset would overtake it.
      setTimeout(() => response.destroy(), 20);
      return;
    case "end":
      response.end();
      return;
    case "stall":
      return;
    case "error": {
      const { type, message } = broken;
      response.end(apiFrame({ type: "error", error: { type, message } }));
      return;
    }
  }
}
