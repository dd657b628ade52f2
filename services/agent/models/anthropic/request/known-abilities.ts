/** What the mesh knows of a model. Names no type of the SDK: programs that embed Atoll see these. */

export type ThinkingKind = "adaptive" | "enabled" | "disabled" | "between_tools";

/** What is known of a model. */
export interface ModelAbilities {
  /** The kinds of thinking that it accepts; empty for a model that can't think. */
  readonly thinking: ReadonlySet<ThinkingKind>;
  /** Tokens that fit in its context; 0 when unknown. */
  readonly contextTokens: number;
  /** The most that a request may ask for, reasoning included; Infinity when unknown. */
  readonly maxTokens: number;
}
