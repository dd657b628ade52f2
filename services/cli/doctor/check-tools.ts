/** The MCP servers, and the patterns of tools that agents name. */
import type { ResolvedConfig } from "../../kernel/config/resolved-config.ts";
import { visibleText } from "../../kernel/visible-text.ts";
import type { Say } from "./findings.ts";
import type { ServerFacts, ToolFacts } from "./tool-facts.ts";

export function checkTools(config: ResolvedConfig, facts: ToolFacts, say: Say): void {
  for (const server of facts.servers) sayServer(server, config, say);
  const known = new Set(facts.servers.map(({ name }) => name));
  for (const [name] of config.mcpServers) {
    if (!known.has(name)) say("server", "note", `server ${name}: the running mesh does not know it: restart it`);
  }
  for (const { id, tools } of config.agents.values()) {
    for (const pattern of tools) sayPattern(id, pattern, config, facts, say);
  }
}

function sayServer({ name, state, tools, problem }: ServerFacts, config: ResolvedConfig, say: Say): void {
  const title = config.mcpServers.get(name)?.title ?? "";
  const who = `server ${visibleText(name)}${title === "" ? "" : ` (${visibleText(title)})`}`;
  const why = visibleText(problem);
  switch (state) {
    case "ready":
      if (tools > 0) say("server", "ok", `${who}: answers, ${tools} ${tools === 1 ? "tool" : "tools"}`);
      else say("server", "note", `${who}: answers, and has no tools that are used`);
      return;
    case "off":
      if (why === "") say("server", "note", `${who}: switched off`);
      else say("server", "wrong", `${who}: switched off: ${why}`);
      return;
    case "failed":
      say("server", "wrong", `${who}: ${why === "" ? "does not run" : why}`);
      return;
    case "starting":
      say("server", "wrong", `${who}: has not answered yet${why === "" ? "" : `; before that: ${why}`}`);
      return;
    case "not-tried":
      say("server", "note", `${who}: not tried: ${why}`);
  }
}

function sayPattern(agent: string, pattern: string, config: ResolvedConfig, facts: ToolFacts, say: Say): void {
  const matches = matcher(pattern);
  if (facts.toolNames.some(matches)) return;
  const at = `agent ${agent}: no tool matches ${JSON.stringify(visibleText(pattern))}`;
  const dot = pattern.indexOf(".");
  const server = dot < 0 ? "" : pattern.slice(0, dot);
  const silent = facts.servers.filter(({ name, state }) => state !== "ready" && matcher(server || "*")(name));
  const renamed = [...config.mcpServers.values()].find(({ title }) => title !== "" && pattern.startsWith(`${title}.`));
  if (silent.length > 0) {
    const names = silent.map(({ name }) => name).join(", ");
    say("tools", "note", `${at}, as far as can be told while ${names} ${silent.length === 1 ? "does" : "do"} not run`);
  } else if (renamed !== undefined) {
    say("tools", "wrong", `${at}: the server is named ${renamed.name} here`);
  } else if (server !== "" && !server.includes("*") && !config.mcpServers.has(server)) {
    say("tools", "wrong", `${at}: there is no server ${visibleText(server)}`);
  } else say("tools", "wrong", `${at}: \`atoll tools\` lists what there is`);
}

/** `*` stands for any letters, as in the agent's own list. */
function matcher(pattern: string): (name: string) => boolean {
  const expression = new RegExp(`^${pattern.split("*").map(RegExp.escape).join("[^]*")}$`);
  return (name) => expression.test(name);
}
