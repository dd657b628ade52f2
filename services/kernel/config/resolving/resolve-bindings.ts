/** The bindings of scopes to agents. Keeps: a pattern that nothing can fit, or an agent that is none, stops the start. */
import { orderBindings, type ScopeBinding } from "../../scope-bindings.ts";
import { parseScopePattern } from "../../session-key.ts";
import type { ReportProblem } from "../config-error.ts";
import { nearMiss } from "../near-miss.ts";
import { keyPath } from "../reading/config-node.ts";
import type { ConfigReading } from "../reading/read-config.ts";
import { quoteText } from "../reading/read-scalar.ts";

/** In the order in which they are tried. */
export function resolveBindings(
  given: Readonly<Record<string, string>>,
  agents: ReadonlySet<string>,
  { sourceOf }: Pick<ConfigReading, "sourceOf">,
  report: ReportProblem,
): ScopeBinding[] {
  const seen = new Set<string>();
  const bindings = Object.entries(given).flatMap(([text, agentId]): ScopeBinding[] => {
    const path = keyPath("sessions.bindings", text);
    const source = sourceOf(path);
    const parsed = parseScopePattern(text);
    if ("problem" in parsed) {
      const expected = "the scope of a session key, `*` for any part, for example `group:telegram:*`";
      report({ path, found: `a pattern that ${parsed.problem}`, expected, source });
      return [];
    }
    const written = parsed.value.join(":");
    if (seen.has(written)) {
      report({ path, found: "a pattern that stands there already", expected: "each pattern once", source });
      return [];
    }
    seen.add(written);
    if (!agents.has(agentId)) {
      const meant = nearMiss(agentId, [...agents]);
      const expected = `one of ${[...agents].map((id) => keyPath("", id)).join(", ")}`;
      const hint = meant === undefined ? {} : { hint: `Did you mean \`${meant}\`?` };
      report({ path, found: quoteText(agentId), expected, ...hint, source });
      return [];
    }
    return [{ pattern: parsed.value, agentId }];
  });
  return orderBindings(bindings);
}
