// Keeps: a model that nobody serves stops the start: no run of its agent could ever be answered.
import type { ReportProblem } from "./config-error.ts";
import { keyPath } from "./config-node.ts";
import { nearMiss } from "./near-miss.ts";
import type { ConfigReading } from "./read-config.ts";
import { quoteText } from "./read-scalar.ts";
import type { ResolvedAgent, ResolvedModels } from "./resolved-config.ts";
import { defaults } from "./settings.ts";

const offline = defaults.defaultModel.withoutKey;

/** Whether a name has a provider: the offline model, or Anthropic for its own names and those that are listed. */
export function hasProvider(model: string, listed: readonly string[]): boolean {
  return model === offline || model.startsWith("claude") || listed.includes(model);
}

/** Reports the default model and the agents' own ones that have no provider. */
export function checkModels(
  { defaultModel, anthropic }: ResolvedModels,
  agents: ReadonlyMap<string, ResolvedAgent>,
  { message, sourceOf }: ConfigReading,
  report: ReportProblem,
): void {
  const check = (path: string, model: string): void => {
    if (hasProvider(model, anthropic.models)) return;
    const known = [offline, ...anthropic.models];
    const meant = nearMiss(model, [...known, defaults.defaultModel.withKey]);
    const guess = meant === undefined ? "" : `Did you mean \`${meant}\`? `;
    report({
      path,
      found: `${quoteText(model)}, which no provider serves`,
      expected: `${known.join(", ")} or a name that begins with claude`,
      hint: `${guess}If the address of \`models.anthropic\` serves it, list it in \`models.anthropic.models\`.`,
      source: sourceOf(path),
    });
  };
  check("models.defaultModel", defaultModel);
  for (const id of agents.keys()) {
    const own = message.agents[id]?.model ?? "";
    if (own !== "") check(`${keyPath("agents", id)}.model`, own);
  }
}

/** The models of agents that need a key when there is none; empty when every one can be called. */
export function modelsWithoutKey(models: ResolvedModels, agents: ReadonlyMap<string, ResolvedAgent>): string[] {
  if (models.anthropic.apiKey !== undefined) return [];
  const used = new Set([...agents.values()].map(({ model }) => model));
  return [...used].filter((model) => model !== offline);
}
