// Keeps: a model that nobody serves stops the start: no run of its agent could ever be answered.
import { builtInAliases, fullModelName } from "../../model-names.ts";
import type { ConfigProblem, ReportProblem } from "../config-error.ts";
import { nearMiss } from "../near-miss.ts";
import { keyPath } from "../reading/config-node.ts";
import type { ConfigReading } from "../reading/read-config.ts";
import { quoteText } from "../reading/read-scalar.ts";
import type { ResolvedAgent, ResolvedConfig, ResolvedModels } from "../resolved-config.ts";
import { defaults } from "../settings.ts";

const offline = defaults.defaultModel.withoutKey;

/** Reports the default model and the agents' own ones that have no provider. */
export function checkModels(
  { defaultModel, anthropic, aliases }: ResolvedModels,
  agents: ReadonlyMap<string, ResolvedAgent>,
  { message, sourceOf }: ConfigReading,
  report: ReportProblem,
): void {
  const check = (path: string, model: string): void => {
    if (fullModelName(model, { aliases, anthropic: anthropic.models }) !== undefined) return;
    const known = [offline, ...builtInAliases.keys(), ...aliases.keys(), ...anthropic.models];
    const meant = nearMiss(model, [...known, defaults.defaultModel.withKey]);
    const guess = meant === undefined ? "" : `Did you mean \`${meant}\`? `;
    report({
      path,
      found: `${quoteText(model)}, which no provider serves`,
      expected: `${known.join(", ")} or a name that begins with anthropic/ or claude`,
      hint: `${guess}If the address of \`models.anthropic\` serves it, list it in \`models.anthropic.models\`.`,
      source: sourceOf(path),
    });
  };
  check("models.defaultModel", defaultModel);
  for (const [alias, meant] of aliases) check(keyPath("models.aliases", alias), meant);
  for (const id of agents.keys()) {
    const own = message.agents[id]?.model ?? "";
    if (own !== "") check(`${keyPath("agents", id)}.model`, own);
  }
}

/**
 * The models of agents that need a key when there is none: each of their runs would fail. Only the process that calls models
 * needs the key; that is why reading the configuration does not ask for it.
 */
export function findModelsWithoutKey(config: ResolvedConfig): ConfigProblem[] {
  const { defaultModel, anthropic } = config.models;
  if (anthropic.apiKey !== undefined) return [];
  const paths = new Map(
    [...config.agents.values()]
      .filter(({ model }) => model !== offline)
      .map(({ id, model }) => [
        model === defaultModel ? "models.defaultModel" : `${keyPath("agents", id)}.model`,
        model,
      ]),
  );
  return [...paths].map(([path, model]) => ({
    path,
    found: `${quoteText(model)} and no key for it`,
    expected: "a key in ANTHROPIC_API_KEY",
    hint: `The model \`${offline}\` needs none.`,
    source: config.configFile === undefined ? { from: "default" } : { from: "file", file: config.configFile },
  }));
}
