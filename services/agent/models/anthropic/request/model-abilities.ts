/**
 * What each model can do, asked of the Models API once and remembered.
 *
 * Keeps L7: one question at a time per model, at most `lookupTimeoutMs`; a failed one is not asked again before
 * `lookupRetryMs`, and the call goes on without the answer. At most `maxKnownModels` are remembered.
 */
import type Anthropic from "@anthropic-ai/sdk";
import type { Clock } from "../../../../kernel/clock.ts";
import type { Log } from "../../../../kernel/log.ts";
import type { ModelAbilities, ThinkingKind } from "./known-abilities.ts";

const lookupTimeoutMs = 5_000;
const lookupRetryMs = 600_000;
const maxKnownModels = 256;
const thinkingKinds: readonly ThinkingKind[] = ["adaptive", "enabled", "disabled", "between_tools"];

type Lookup =
  | { readonly state: "asking"; readonly answer: Promise<ModelAbilities | undefined> }
  | { readonly state: "known"; readonly abilities: ModelAbilities }
  | { readonly state: "failed"; readonly atMs: number };

export interface AbilityBook {
  /** What is known by now, without asking. */
  known(model: string): ModelAbilities | undefined;
  /** Undefined when the Models API has no answer. Never throws; the caller's signal is the caller's to watch. */
  find(model: string, client: Anthropic): Promise<ModelAbilities | undefined>;
}

export function createAbilityBook({ clock, log }: { readonly clock: Clock; readonly log: Log }): AbilityBook {
  const lookups = new Map<string, Lookup>();

  const ask = async (model: string, client: Anthropic): Promise<ModelAbilities | undefined> => {
    try {
      const found = await client.models.retrieve(model, {}, { timeout: lookupTimeoutMs, maxRetries: 0 });
      const abilities = readAbilities(found);
      lookups.set(model, { state: "known", abilities });
      return abilities;
    } catch (error) {
      lookups.set(model, { state: "failed", atMs: clock.monotonicMs() });
      log.warn({ model, error }, "the Models API did not say what the model can do; it is called without that");
      return undefined;
    }
  };

  return {
    known(model) {
      const lookup = lookups.get(model);
      return lookup?.state === "known" ? lookup.abilities : undefined;
    },
    async find(model, client) {
      const lookup = lookups.get(model);
      switch (lookup?.state) {
        case "known":
          return lookup.abilities;
        case "asking":
          return lookup.answer;
        case "failed":
          if (clock.monotonicMs() - lookup.atMs < lookupRetryMs) return undefined;
          break;
        case undefined:
          if (lookups.size >= maxKnownModels) return undefined;
          break;
      }
      const answer = ask(model, client);
      lookups.set(model, { state: "asking", answer });
      return answer;
    },
  };
}

function readAbilities(found: Anthropic.ModelInfo): ModelAbilities {
  const types = found.capabilities?.thinking.types;
  return {
    thinking: new Set(thinkingKinds.filter((kind) => types?.[kind]?.supported === true)),
    contextTokens: found.max_input_tokens ?? 0,
    maxTokens: found.max_tokens ?? Number.POSITIVE_INFINITY,
  };
}
