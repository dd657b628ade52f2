/** The model that a run is to call, as far as it is known: the name of one that nobody serves is the one that was asked for. */
import type { RunParts } from "./run-parts.ts";

export function modelOf({ deps, options, agent }: Pick<RunParts, "deps" | "options" | "agent">): {
  /** `provider/model`. */
  readonly name: string;
  readonly maxRetries: number;
} {
  const wanted = options?.model || agent.model;
  const found = deps.models.resolve(wanted);
  return { name: found?.name ?? wanted, maxRetries: found?.model.maxRetries ?? 0 };
}
