/**
 * Which models there are and who serves them.
 *
 * A name is served by the offline model when it is `offline`, and by Anthropic when it begins with `claude` or the
 * configuration lists it. Every other name is nobody's: the caller answers MODEL_NOT_FOUND.
 */
import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../kernel/log.ts";
import { type AnthropicModel, type AnthropicSettings, createAnthropicModel } from "./anthropic/anthropic-model.ts";
import type { Model } from "./model.ts";
import { createOfflineModel, type OfflineSettings, offlineModelName } from "./offline/offline-model.ts";

export interface ModelSettings {
  readonly anthropic: AnthropicSettings & {
    /** Names to list: the configured ones and the agents' own. */
    readonly models: readonly string[];
  };
  readonly offline: OfflineSettings;
}

export interface ModelParts {
  readonly clock: Clock;
  readonly log: Log;
}

export interface ModelEntry {
  readonly model: string;
  readonly provider: "anthropic" | "offline";
  /** Whether it can be called now, as far as this process can tell without asking the maker. */
  readonly available: boolean;
  /** Why not, and what to do; empty when it is available. */
  readonly problem: string;
  /** Tokens that fit in its context; 0 while unknown. */
  readonly contextTokens: number;
  readonly thinking: boolean;
}

export interface Models {
  /** The model of this name; undefined when nobody serves it. A model without a key resolves and fails when called. */
  resolve(name: string): Model | undefined;
  /** In order of name. */
  list(): readonly ModelEntry[];
}

/** Makes the registry. Nothing is imported, opened or asked before a model is called. */
export function createModels(settings: ModelSettings, parts: ModelParts): Models {
  const anthropic = createAnthropicModel(settings.anthropic, parts);
  const offline = createOfflineModel(settings.offline, parts);
  const listed = new Set(settings.anthropic.models.filter((name) => name !== "" && name !== offlineModelName));
  return {
    resolve(name) {
      if (name === offlineModelName) return offline;
      return name.startsWith("claude") || listed.has(name) ? anthropic : undefined;
    },
    list() {
      const entries = [...listed].map((name) => anthropicEntry(name, anthropic));
      return [...entries, offlineEntry].sort((a, b) => (a.model < b.model ? -1 : 1));
    },
  };
}

const offlineEntry: ModelEntry = {
  model: offlineModelName,
  provider: "offline",
  available: true,
  problem: "",
  contextTokens: 0,
  thinking: true,
};

function anthropicEntry(model: string, anthropic: AnthropicModel): ModelEntry {
  const abilities = anthropic.knownAbilities(model);
  return {
    model,
    provider: "anthropic",
    available: anthropic.problem === "",
    problem: anthropic.problem,
    contextTokens: abilities?.contextTokens ?? 0,
    thinking: abilities === undefined || abilities.thinking.size > 0,
  };
}
