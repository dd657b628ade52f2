import { expect, it } from "vitest";
import { systemClock } from "../../kernel/clock.ts";
import { createLog } from "../../kernel/log.ts";
import { createModels } from "./create-models.ts";

const log = createLog({ level: "silent", format: "json" });

function models(apiKey: string) {
  const anthropic = { apiKey, baseUrl: "", maxRetries: 0, timeoutMs: 1_000, silenceMs: 1_000 };
  const names = { aliases: new Map([["quick", "claude-b"]]), anthropic: ["claude-b", "house-model"] };
  const used = ["offline/scripted", "anthropic/claude-c", "anthropic/claude-b"];
  return createModels({ names, used, anthropic, offline: { tokenDelayMs: 0 } }, { clock: systemClock, log });
}

it("serves the offline model, every Claude and what is listed under any of their names, and nothing else", () => {
  const { resolve } = models("key");
  expect(resolve("offline")).toMatchObject({ name: "offline/scripted", makerName: "scripted" });
  expect(resolve("quick")).toMatchObject({ name: "anthropic/claude-b", makerName: "claude-b" });
  expect(resolve("anthropic/claude-not-listed")?.model).toBe(resolve("house-model")?.model);
  expect(resolve("offline")?.model).not.toBe(resolve("claude-b")?.model);
  for (const nobodys of ["gpt", "", "openai/gpt"]) expect(resolve(nobodys)).toBeUndefined();
});

it("lists each model once, in order, with its other names, and says why one can't be called", () => {
  expect(
    models("key")
      .list()
      .map((entry) => [entry.model, entry.provider, entry.available, entry.aliases]),
  ).toEqual([
    ["anthropic/claude-b", "anthropic", true, ["quick"]],
    ["anthropic/claude-c", "anthropic", true, []],
    ["anthropic/house-model", "anthropic", true, []],
    ["offline/scripted", "offline", true, ["offline"]],
  ]);
  const [claude] = models("").list();
  expect(claude).toMatchObject({ available: false, problem: expect.stringContaining("ANTHROPIC_API_KEY") });
});
