// Keeps: `${NAME}` takes its value from the environment once (what is put in is not expanded again), and a variable that
// is missing or misspelled is a problem, never an empty text.
import type { Environment } from "./settings.ts";

export type Expansion =
  | { readonly value: string }
  | { readonly missing: string }
  /** A `${` that is not followed by a name and `}`. */
  | { readonly malformed: true };

const reference = /\$\{([^}]*)(\}?)/g;
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Puts variables into a text. */
export function expandVariables(text: string, env: Environment): Expansion {
  for (const [, name = "", end] of text.matchAll(reference)) {
    if (end === "" || !variableName.test(name)) return { malformed: true };
    if (variable(env, name) === undefined) return { missing: name };
  }
  return { value: text.replace(reference, (_, name: string) => variable(env, name) ?? "") };
}

function variable(env: Environment, name: string): string | undefined {
  return Object.hasOwn(env, name) ? env[name] : undefined;
}
