/** Which models there are, under which names, and who serves them. A name of nobody's is answered MODEL_NOT_FOUND by the caller. */
import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../kernel/log.ts";
import {
  builtInAliases,
  fullModelName,
  type ModelNames,
  offlineModel,
  splitModelName,
} from "../../kernel/model-names.ts";
import { type AnthropicModel, type AnthropicSettings, createAnthropicModel } from "./anthropic/anthropic-model.ts";
import type { Model } from "./model.ts";
import { createOfflineModel, type OfflineSettings } from "./offline/offline-model.ts";

export interface ModelSettings {
  readonly names: ModelNames;
  /** What agents use, full names: listed with what the configuration lists. */
  readonly used: readonly string[];
  readonly anthropic: AnthropicSettings;
  readonly offline: OfflineSettings;
}

export interface ModelParts {
  readonly clock: Clock;
  readonly log: Log;
}

export interface ModelEntry {
  /** `provider/model`. */
  readonly model: string;
  readonly provider: string;
  /** Whether it can be called now, as far as this process can tell without asking the maker. */
  readonly available: boolean;
  /** Why not, and what to do; empty when it is available. */
  readonly problem: string;
  /** Tokens that fit in its context; 0 while unknown. */
  readonly contextTokens: number;
  readonly thinking: boolean;
  /** Other names, in order. */
  readonly aliases: readonly string[];
}

/** A model that was asked for by any of its names. */
export interface FoundModel {
  /** `provider/model`, for events and errors. */
  readonly name: string;
  /** As its maker calls it. */
  readonly makerName: string;
  readonly model: Model;
}

export interface Models {
  /** The model of this name; undefined when nobody serves it. A model without a key resolves and fails when called. */
  resolve(name: string): FoundModel | undefined;
  /** In order of name. */
  list(): readonly ModelEntry[];
}

/** Makes the registry. Nothing is imported, opened or asked before a model is called. */
export function createModels({ names, used, ...settings }: ModelSettings, parts: ModelParts): Models {
  const anthropic = createAnthropicModel(settings.anthropic, parts);
  const offline = createOfflineModel(settings.offline, parts);
  const resolve = (asked: string): FoundModel | undefined => {
    const name = fullModelName(asked, names);
    if (name === undefined) return undefined;
    return { name, makerName: splitModelName(name).model, model: name === offlineModel ? offline : anthropic };
  };
  const listed = new Set([...names.anthropic.map((model) => `anthropic/${model}`), ...used, offlineModel]);
  const aliases = [...new Set([...builtInAliases.keys(), ...names.aliases.keys()])].sort();
  const aliasesOf = (name: string) => aliases.filter((alias) => fullModelName(alias, names) === name);
  return {
    resolve,
    list: () =>
      [...listed].sort().map((name) => ({ ...entryOf(name, anthropic), model: name, aliases: aliasesOf(name) })),
  };
}

function entryOf(name: string, anthropic: AnthropicModel): Omit<ModelEntry, "model" | "aliases"> {
  const { provider, model } = splitModelName(name);
  if (name === offlineModel) return { provider, available: true, problem: "", contextTokens: 0, thinking: true };
  const abilities = anthropic.knownAbilities(model);
  return {
    provider,
    available: anthropic.problem === "",
    problem: anthropic.problem,
    contextTokens: abilities?.contextTokens ?? 0,
    thinking: abilities === undefined || abilities.thinking.size > 0,
  };
}
