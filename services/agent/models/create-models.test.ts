import { expect, it } from "vitest";
import { systemClock } from "../../kernel/clock.ts";
import { createLog } from "../../kernel/log.ts";
import { createModels } from "./create-models.ts";

const log = createLog({ level: "silent", format: "json" });

function models(apiKey: string) {
  const anthropic = {
    apiKey,
    baseUrl: "",
    maxRetries: 0,
    timeoutMs: 1_000,
    silenceMs: 1_000,
    models: ["claude-b", "house-model", "offline", "claude-b"],
  };
  return createModels({ anthropic, offline: { tokenDelayMs: 0 } }, { clock: systemClock, log });
}

it("serves `offline`, every Claude and what is listed, and nothing else", () => {
  const { resolve } = models("key");
  expect(resolve("offline")).not.toBe(resolve("claude-b"));
  expect(resolve("claude-not-listed")).toBe(resolve("house-model"));
  expect(resolve("gpt")).toBeUndefined();
  expect(resolve("")).toBeUndefined();
});

it("lists each model once, in order, and says why one can't be called", () => {
  expect(
    models("key")
      .list()
      .map((entry) => [entry.model, entry.provider, entry.available]),
  ).toEqual([
    ["claude-b", "anthropic", true],
    ["house-model", "anthropic", true],
    ["offline", "offline", true],
  ]);
  const [claude] = models("").list();
  expect(claude).toMatchObject({ available: false, problem: expect.stringContaining("ANTHROPIC_API_KEY") });
});
