/**
 * The names of models: `provider/model`, for example `anthropic/claude-sonnet-5-5`, in events, offers and lists. What people
 * write may be shorter.
 */

/** The built-in scripted model. */
export const offlineModel = "offline/scripted";

export interface ModelNames {
  /** What people may write → the full name. */
  readonly aliases: ReadonlyMap<string, string>;
  /** What the address of `models.anthropic` serves, as it calls them. */
  readonly anthropic: readonly string[];
}

/** Aliases that every mesh has; the configuration's go over them. */
export const builtInAliases: ReadonlyMap<string, string> = new Map([["offline", offlineModel]]);

/**
 * The full name of a model: of an alias what that stands for; of a name that `models.anthropic.models` lists, or that begins
 * with `claude`, Anthropic's; and a name with a provider itself. Undefined when no provider serves it.
 */
export function fullModelName(name: string, { aliases, anthropic }: ModelNames): string | undefined {
  const meant = aliases.get(name) ?? builtInAliases.get(name) ?? name;
  if (anthropic.includes(meant) || /^claude[^/]*$/.test(meant)) return `anthropic/${meant}`;
  if (meant === offlineModel) return meant;
  return /^anthropic\/./.test(meant) ? meant : undefined;
}

/** The parts of a full name; a model's own name may have slashes as well. */
export function splitModelName(fullName: string): { readonly provider: string; readonly model: string } {
  const at = fullName.indexOf("/");
  return { provider: fullName.slice(0, Math.max(0, at)), model: fullName.slice(at + 1) };
}
