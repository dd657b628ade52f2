/** The models that agents use: each is asked for where it is served. */
import type { Model } from "../../../gen/atoll/agent/v1/agent_pb.ts";
import type { ResolvedConfig } from "../../kernel/config/resolved-config.ts";
import { offlineModel, splitModelName } from "../../kernel/model-names.ts";
import { askModelApi } from "./ask-model-api.ts";
import type { Say } from "./findings.ts";

/** More than these are named, not asked. */
const maxAsked = 16;

/** @param ofMesh What a running mesh says of its models; undefined when none runs. */
export async function checkModels(
  config: ResolvedConfig,
  ofMesh: readonly Pick<Model, "model" | "available">[] | undefined,
  say: Say,
): Promise<void> {
  const { apiKey, baseUrl } = config.models.anthropic;
  const users = usersOf(config);
  let asked = 0;
  for (const [model, agents] of users) {
    const name = `model ${model} (${agents.join(", ")})`;
    if (model === offlineModel) {
      say("model", "note", `${name}: scripted; set ANTHROPIC_API_KEY for Claude`);
    } else if (apiKey === undefined) {
      const meshHasIt = ofMesh?.some((each) => each.model === model && each.available) === true;
      if (meshHasIt)
        say("model", "note", `${name}: the running mesh has a key; it was not tried, because this shell has none`);
      else say("model", "wrong", `${name}: there is no key: set ANTHROPIC_API_KEY, or use the model ${offlineModel}`);
    } else if (asked >= maxAsked) say("model", "note", `${name}: not asked; at most ${maxAsked} models are`);
    else {
      asked += 1;
      const { verdict, text } = await askModelApi({ apiKey, baseUrl }, splitModelName(model).model);
      say("model", verdict, `${name}: ${text}`);
    }
  }
}

/** Each model that is used, with the agents that use it. */
function usersOf({ agents, models, defaultAgent }: ResolvedConfig): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { id, model } of agents.values()) users.set(model, [...(users.get(model) ?? []), id]);
  if (!users.has(models.defaultModel)) users.set(models.defaultModel, [`default, but not of ${defaultAgent}`]);
  return users;
}
