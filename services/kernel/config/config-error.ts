/**
 * What is wrong with a configuration, said once and completely.
 *
 * Keeps L9: every problem has its path, what was found, what was expected, where it was written, and what to do. Secrets
 * are never part of it. The message lists at most 50 problems and counts the rest (L7); `problems` has them all.
 */
import { visibleText } from "../visible-text.ts";

/** Where a value was written. */
export type ConfigSource =
  | { readonly from: "file"; readonly file: string; readonly line?: number; readonly column?: number }
  | { readonly from: "environment"; readonly name: string }
  | { readonly from: "flag"; readonly name: string }
  | { readonly from: "default" };

export interface ConfigProblem {
  /** The key as the file writes it, for example `mcpServers.files.comand` or `access.allowedHosts[2]`; "" is the file. */
  readonly path: string;
  /** What was found, for people; never a secret. */
  readonly found?: string;
  /** What would be right. */
  readonly expected: string;
  /** What to do, for example "did you mean `command`?". */
  readonly hint?: string;
  readonly source: ConfigSource;
}

/** A part of the reading adds what it finds here, so that all problems come at once. */
export type ReportProblem = (problem: ConfigProblem) => void;

const maxShownProblems = 50;

/** Stops the start: the configuration can't be used. The message is for the person who started the mesh. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(describeProblems(problems));
    this.problems = problems;
  }
}

function describeProblems(problems: readonly ConfigProblem[]): string {
  const lines = problems.slice(0, maxShownProblems).map((problem) => `  ${visibleText(describeProblem(problem))}`);
  const rest = problems.length - lines.length;
  const head = problems.length === 1 ? "has a problem" : `has ${problems.length} problems`;
  return [`The configuration ${head}:`, ...lines, ...(rest > 0 ? [`  … and ${rest} more.`] : [])].join("\n");
}

function describeProblem({ path, found, expected, hint, source }: ConfigProblem): string {
  const what = found === undefined ? `expected ${expected}` : `found ${found}, expected ${expected}`;
  return [
    `${describeSource(source)}: `,
    path === "" ? "" : `${path}: `,
    what,
    hint === undefined ? "." : `. ${hint}`,
  ].join("");
}

/** Where a value was written, for people: `/etc/atoll.yaml:12:3`, `ATOLL_LISTEN`, `--listen`. */
export function describeSource(source: ConfigSource): string {
  switch (source.from) {
    case "file":
      return [source.file, source.line, source.column].filter((part) => part !== undefined).join(":");
    case "environment":
      return source.name;
    case "flag":
      return `--${source.name}`;
    case "default":
      return "default";
  }
}
