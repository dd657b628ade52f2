/**
 * Which `thinking` setting a request carries. Models differ in what they accept and in what they do when it is left
 * out, so the choice follows what the Models API says of the model; without word of it, a plain request asks for none.
 *
 * Source: Anthropic's Models API, `capabilities.thinking.types`.
 */
import type Anthropic from "@anthropic-ai/sdk";
import type { ModelAbilities } from "./known-abilities.ts";

export interface TokenBudget {
  readonly maxOutputTokens: number;
  readonly thinkingTokens: number;
  /** Whether the last answer ends in tool calls that no reasoning goes before: a fixed budget is refused then. */
  readonly resumesWithoutThinking: boolean;
}

export interface ThinkingChoice {
  readonly maxTokens: number;
  readonly thinking: Anthropic.ThinkingConfigParam | undefined;
}

/** The least budget that the API takes. */
const leastBudgetTokens = 1024;

export function chooseThinking(budget: TokenBudget, abilities: ModelAbilities | undefined): ThinkingChoice {
  const ceiling = abilities?.maxTokens ?? Number.POSITIVE_INFINITY;
  if (budget.thinkingTokens === 0) {
    return { maxTokens: Math.min(budget.maxOutputTokens, ceiling), thinking: withoutThinking(abilities) };
  }
  const maxTokens = Math.min(budget.maxOutputTokens + budget.thinkingTokens, ceiling);
  // The newest models hide their reasoning unless it is asked for.
  if (abilities === undefined || abilities.thinking.has("adaptive")) {
    return { maxTokens, thinking: { type: "adaptive", display: "summarized" } };
  }
  const budgetTokens = Math.min(Math.max(budget.thinkingTokens, leastBudgetTokens), maxTokens - 1);
  const possible =
    abilities.thinking.has("enabled") && budgetTokens >= leastBudgetTokens && !budget.resumesWithoutThinking;
  return { maxTokens, thinking: possible ? { type: "enabled", budget_tokens: budgetTokens } : undefined };
}

/** Only a model that thinks unless told otherwise needs to be told. */
function withoutThinking(abilities: ModelAbilities | undefined): Anthropic.ThinkingConfigParam | undefined {
  if (abilities === undefined || !abilities.thinking.has("adaptive")) return undefined;
  if (abilities.thinking.has("disabled")) return { type: "disabled" };
  return abilities.thinking.has("between_tools") ? { type: "between_tools" } : undefined;
}
