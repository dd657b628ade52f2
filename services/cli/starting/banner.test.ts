import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { defineConfig } from "../../kernel/config/define-config.ts";
import { describeMesh } from "./banner.ts";

const facts = { url: "http://127.0.0.1:1", link: undefined };

describe("what a mesh prints when it is ready", () => {
  it("names no folder where the usual one is meant, and another one so that a shell takes it", () => {
    expect(describeMesh(facts, defineConfig()).join("\n")).not.toContain("--data");
    const strange = join(process.cwd(), "my 'own' data");
    const lines = describeMesh(facts, defineConfig({ data: strange })).join("\n");
    expect(lines).toContain(`chat --data '${strange.replaceAll("'", "'\\''")}' "which files`);
    expect(lines).toContain("token --link --data '");
  });

  it("prints no command that could fetch a program", () => {
    const commands =
      describeMesh(facts, defineConfig())
        .join("\n")
        .match(/npx [^"]*/g) ?? [];
    expect(commands.length).toBeGreaterThan(0);
    for (const command of commands) expect(command).toMatch(/^npx --no atoll /);
  });
});
