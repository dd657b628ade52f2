import { expect, it } from "vitest";
import { fullModelName, splitModelName } from "./model-names.ts";

const names = {
  aliases: new Map([
    ["fast", "anthropic/claude-haiku-4-5"],
    ["house", "meta/llama"],
    ["opus", "claude-opus-5"],
  ]),
  anthropic: ["glm", "meta/llama"],
};

it.each([
  ["anthropic/claude-x", "anthropic/claude-x"],
  ["claude-x", "anthropic/claude-x"],
  ["glm", "anthropic/glm"],
  ["anthropic/glm", "anthropic/glm"],
  ["meta/llama", "anthropic/meta/llama"],
  ["house", "anthropic/meta/llama"],
  ["fast", "anthropic/claude-haiku-4-5"],
  ["opus", "anthropic/claude-opus-5"],
  ["offline", "offline/scripted"],
  ["offline/scripted", "offline/scripted"],
  ["offline/other", undefined],
  ["gpt", undefined],
  ["openai/gpt", undefined],
  ["claude/x", undefined],
  ["anthropic/", undefined],
  ["", undefined],
])("%s is %s", (name, full) => {
  expect(fullModelName(name, names)).toBe(full);
  if (full !== undefined) expect(fullModelName(full, names)).toBe(full);
});

it("has a provider and a name, which may have slashes", () => {
  expect(splitModelName("anthropic/meta/llama")).toEqual({ provider: "anthropic", model: "meta/llama" });
});
