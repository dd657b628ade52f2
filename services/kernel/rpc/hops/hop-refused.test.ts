import { createContextValues, type StreamRequest, type UnaryRequest } from "@connectrpc/connect";
import { expect, it, vi } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { createSignedTokens } from "../../auth/signed-tokens.ts";
import { systemClock } from "../../clock.ts";
import { ErrorReason, failedWith, failure } from "../../errors.ts";
import { principalKey } from "../call-context.ts";
import { administrator } from "../served-rpcs.fixture.ts";
import { createHopInterceptor } from "./hop-interceptor.ts";

const refusal = () => failure(ErrorReason.TOKEN_INVALID, "a valid token is required");

function callThrough(answers: readonly ("taken" | "refused")[], stream: boolean) {
  let nowMs = Date.now();
  const clock = { ...systemClock, nowMs: () => nowMs };
  const hop = createHopInterceptor("session", createSignedTokens(new Uint8Array(32), clock), clock);
  const shown: string[] = [];
  const next = vi.fn(async (request: UnaryRequest | StreamRequest) => {
    shown.push(request.header.get("authorization") ?? "");
    // The clock is set while the call is on its way.
    nowMs += 2 * 3_600_000;
    if (answers[shown.length - 1] === "refused") throw refusal();
    return { stream: false, header: new Headers(), trailer: new Headers(), message: {} } as never;
  });
  const contextValues = createContextValues().set(principalKey, administrator);
  const request = { stream, header: new Headers(), contextValues, signal: new AbortController().signal };
  return { shown, answer: hop(next)(request as never) };
}

it(`shows a new assertion when a peer refuses the one before, as when the clock was set ${verifies("R6")}`, async () => {
  const { shown, answer } = callThrough(["refused", "taken"], false);
  await answer;
  expect(new Set(shown).size).toBe(2);
});

it("never tells a caller that the caller's token is bad", async () => {
  for (const stream of [false, true]) {
    const { shown, answer } = callThrough(["refused", "refused"], stream);
    const error: unknown = await answer.catch((each: unknown) => each);
    expect(failedWith(error, ErrorReason.PEER_UNAVAILABLE)).toBe(true);
    expect(shown).toHaveLength(stream ? 1 : 2);
  }
});
