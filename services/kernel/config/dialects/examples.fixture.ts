/** Test support: configurations as people paste them from other programs, their values made up, and where each stands. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

export interface Example {
  /** In the folder `examples`. */
  readonly file: string;
  /** Where the program has it, from the folder where the mesh starts. */
  readonly as: string;
}

const yaml = (file: string): Example => ({ file, as: "atoll.yaml" });
const named = (file: string, as = file): Example => ({ file, as });

export const examples: readonly Example[] = [
  yaml("atoll-readme.yaml"),
  yaml("atoll-own-words.yaml"),
  yaml("atoll-mixed.yaml"),
  yaml("atoll-anchors.yaml"),
  named("claude-desktop.json", "claude_desktop_config.json"),
  named("claude-desktop-windows.json", "claude_desktop_config.json"),
  named("claude-desktop-docker.json", "claude_desktop_config.json"),
  named("claude-code.mcp.json", ".mcp.json"),
  named("claude-code-user.json", ".claude.json"),
  named("cursor.json", ".cursor/mcp.json"),
  named("windsurf.json", "mcp_config.json"),
  named("cline.json", "cline_mcp_settings.json"),
  named("roo-code.json", ".roo/mcp.json"),
  named("vscode-mcp.json", ".vscode/mcp.json"),
  named("vscode-settings.json", ".vscode/settings.json"),
  named("zed-new.json", ".zed/settings.json"),
  named("zed-old.json", ".zed/settings.json"),
  named("codex.yaml"),
  named("opencode.json"),
  named("goose.yaml", "config.yaml"),
  named("librechat.yaml"),
  named("continue.yaml", ".continue/config.yaml"),
  named("continue-old.json", "config.json"),
  named("gemini-cli.json", ".gemini/settings.json"),
  named("copilot-agent.json"),
  named("copilot-jetbrains.json", "mcp.json"),
  named("amp-settings.json", "settings.json"),
  named("kiro.json", ".kiro/settings/mcp.json"),
  named("amazon-q.json", "mcp.json"),
  named("cherry-studio.json"),
  named("lm-studio.json", "mcp.json"),
  named("jan.json", "mcp_config.json"),
  named("smithery.json"),
  named("mcp-remote.json"),
  yaml("n8n-like.yaml"),
  named("unicode-names.json", "atoll.json"),
  named("byte-order-mark.json", "atoll.json"),
  named("duplicate-keys.json", "atoll.json"),
  named("home-folders.json", "atoll.json"),
  named("switched-off.json", "atoll.json"),
  named("missing-variables.json", "atoll.json"),
  named("empty.json", "atoll.json"),
  yaml("nothing.yaml"),
  yaml("wrong-types.yaml"),
];

/** The mesh's environment for all of them, beside HOME. */
export const exampleEnv: Readonly<Record<string, string>> = { LOCAL_TOKEN: "made-up-token", API_KEY: "made-up-key" };

const folder = path.join(import.meta.dirname, "examples");

/** Puts an example where it stands, and the file of variables that two of them name; returns the file. */
export function placeExample({ file, as }: Example, cwd: string, change = (text: string) => text): string {
  const target = path.join(cwd, as);
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, change(readFileSync(path.join(folder, file), "utf8")));
  writeFileSync(path.join(cwd, ".env"), "FROM_FILE=made-up\n");
  return target;
}
