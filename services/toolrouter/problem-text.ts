/** What went wrong with a server, as people and models read it. */
import { escapeHidden } from "./escape-hidden.ts";
import type { McpServerSettings } from "./servers/server-settings.ts";

const maxProblemLength = 1024;

/** A server's own words, escaped and at most 1 024 characters. */
export function visibleProblem(problem: string): string {
  // Cut first: escaping what nobody will see of 16 MiB takes seconds. Escaping makes no text shorter.
  const shown = escapeHidden(problem.slice(0, maxProblemLength + 1));
  return shown.length <= maxProblemLength ? shown : `${shown.slice(0, maxProblemLength - 1).toWellFormed()}…`;
}

/** What to do about a server that does not run. */
export function adviceFor(name: string, { target }: McpServerSettings): string {
  switch (target.kind) {
    case "stdio":
      return `check \`command\`, \`args\`, \`cwd\` and \`env\` of the MCP server "${name}" (${visibleProblem(target.command)}) in the configuration`;
    case "http":
      return `check that the MCP server "${name}" runs, and its \`url\` and \`headers\` in the configuration`;
  }
}
