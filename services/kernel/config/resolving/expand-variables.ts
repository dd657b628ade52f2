/**
 * Puts variables into a text, in the spellings of the programs that configurations are pasted from.
 *
 * Keeps: what is put in is not expanded again, and a variable that is missing or misspelled is told, never an empty text.
 * L7: defaults nest at most 8 deep.
 */
import type { Environment } from "../settings.ts";

export interface Variables {
  readonly env: Environment;
  /** What `${workspaceFolder}` is: the folder that relative paths of servers start from. */
  readonly baseDir: string;
  readonly home: string;
  /** What `${input:id}` is: the defaults that the file's own `inputs` give. */
  readonly inputs: ReadonlyMap<string, string | undefined>;
}

export type Expansion =
  | { readonly value: string }
  /** What the text needs and nobody gives, for people: `the variable GITHUB_TOKEN`. */
  | { readonly missing: string }
  /** What is wrong with the text, for people. */
  | { readonly malformed: string };

const name = "[A-Za-z_][A-Za-z0-9_]*";
const plainReference = new RegExp(`^(?:env[:.])?(${name})(?:(:?-)([\\s\\S]*))?$`);
const secretReference = new RegExp(`^secrets\\.(${name})$`);
const maxNesting = 8;

/**
 * Known are `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${env:NAME}`, `${input:id}`, `${workspaceFolder}`,
 * `${userHome}`, `${cwd}`, `${pathSeparator}` and `${/}`, opencode's `{env:NAME}` and Continue's `${{ secrets.NAME }}`.
 */
export function expandVariables(text: string, variables: Variables): Expansion {
  return expand(text, variables, 0);
}

/** Whether a name stands behind a bare `$` that the environment or `more` knows: it was meant, and is not put in. */
export function hasBareVariable(text: string, env: Environment, more: ReadonlySet<string>): boolean {
  const found = text.matchAll(new RegExp(`\\$(${name})`, "g"));
  return found.some(([, bare = ""]) => more.has(bare) || variable(env, bare) !== undefined);
}

function expand(text: string, variables: Variables, depth: number): Expansion {
  if (depth > maxNesting) return { malformed: `defaults that nest deeper than ${maxNesting}` };
  let out = "";
  for (let at = 0; at < text.length; ) {
    const reference = nextReference(text, at);
    if (reference === undefined) return { value: out + text.slice(at) };
    if (reference.end === undefined) return { malformed: `a \`\${\` without its \`}\`` };
    const value = referenceValue(reference.words, variables, depth);
    if (!("value" in value)) return value;
    out += text.slice(at, reference.start) + value.value;
    at = reference.end;
  }
  return { value: out };
}

interface Reference {
  readonly start: number;
  /** Behind its last brace; undefined when that is missing. */
  readonly end: number | undefined;
  readonly words: string;
}

function nextReference(text: string, from: number): Reference | undefined {
  const found = /\$\{|\{(?:env|file):[^{}]*\}/g;
  found.lastIndex = from;
  const match = found.exec(text);
  if (match === null) return undefined;
  const [opening] = match;
  if (opening !== "${") {
    return { start: match.index, end: match.index + opening.length, words: opening.slice(1, -1) };
  }
  let depth = 0;
  for (let at = match.index + 1; at < text.length; at += 1) {
    if (text[at] === "{") depth += 1;
    if (text[at] === "}") depth -= 1;
    if (depth === 0) return { start: match.index, end: at + 1, words: text.slice(match.index + 2, at) };
  }
  return { start: match.index, end: undefined, words: "" };
}

function referenceValue(words: string, variables: Variables, depth: number): Expansion {
  const { env, baseDir, home, inputs } = variables;
  const secret = /^\{(.*)\}$/s.exec(words)?.[1]?.trim();
  if (secret !== undefined) {
    const [, secretName] = secretReference.exec(secret) ?? plainReference.exec(secret) ?? [];
    return secretName === undefined ? unreadable(words) : known(env, secretName);
  }
  if (/^workspaceFolder(:[^}]*)?$/.test(words) || words === "cwd" || words === "workspaceRoot")
    return { value: baseDir };
  if (words === "userHome" || words === "HOME") return { value: home };
  if (words === "pathSeparator" || words === "/") return { value: process.platform === "win32" ? "\\" : "/" };
  if (words.startsWith("input:")) return inputOf(words.slice("input:".length), inputs);
  if (words.startsWith("file:"))
    return { malformed: `\`{file:…}\`, which is not read: use \`\${NAME}\` or \`envFile\`` };
  const [, variableName = "", operator, fallback = ""] = plainReference.exec(words) ?? [];
  if (variableName === "") return unreadable(words);
  const value = variable(env, variableName);
  const useFallback = operator === ":-" ? (value ?? "") === "" : operator === "-" && value === undefined;
  return useFallback ? expand(fallback, variables, depth + 1) : known(env, variableName);
}

function inputOf(id: string, inputs: Variables["inputs"]): Expansion {
  const value = inputs.get(id);
  if (value !== undefined) return { value };
  return { missing: `an answer to the question \`${shown(id)}\` (\`\${input:${shown(id)}}\`), which nobody asks here` };
}

function known(env: Environment, variableName: string): Expansion {
  const value = variable(env, variableName);
  return value === undefined ? { missing: `the variable ${shown(variableName)}` } : { value };
}

function unreadable(words: string): Expansion {
  return { malformed: `\`\${${shown(words)}}\`, which names no variable` };
}

function variable(env: Environment, variableName: string): string | undefined {
  return Object.hasOwn(env, variableName) ? env[variableName] : undefined;
}

function shown(text: string): string {
  return text.length <= 64 ? text : `${text.slice(0, 63)}…`;
}
