/**
 * Reads a command line: which command, its words, its flags.
 *
 * Keeps L9: a flag that the command does not take is refused, never ignored; a slip is answered with what was meant.
 */
import { parseArgs } from "node:util";
import { nearMiss } from "../kernel/config/near-miss.ts";
import { UsageError } from "./command.ts";
import { type CommandFlags, type FlagName, type FlagRule, flagRules } from "./flags.ts";

export interface CommandLine {
  /** The first word; undefined when there is none. */
  readonly name: string | undefined;
  readonly words: readonly string[];
  readonly flags: CommandFlags;
}

const rules: Readonly<Record<string, FlagRule>> = flagRules;

/** Throws UsageError. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const { tokens } = parseArgs({
    args: [...argv],
    options: flagRules,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const words: string[] = [];
  const flags: Record<string, string | boolean | string[]> = {};
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const rule = Object.hasOwn(rules, token.name) ? rules[token.name] : undefined;
    if (rule === undefined) throw new UsageError(describeUnknown(token.rawName, Object.keys(rules)));
    const value = readValue(token.rawName, rule, token.value);
    const before = flags[token.name];
    if (rule.multiple) flags[token.name] = [...(Array.isArray(before) ? before : []), String(value)];
    else if (before === undefined) flags[token.name] = value;
    else throw new UsageError(`${token.rawName} is given twice`);
  }
  const [name, ...others] = words;
  return { name, words: others, flags: flags as CommandFlags };
}

/** Throws UsageError for a flag that the command does not take. */
export function checkFlags(name: string, flags: CommandFlags, taken: readonly FlagName[]): void {
  for (const flag of Object.keys(flags)) {
    if ((taken as readonly string[]).includes(flag)) continue;
    throw new UsageError(`atoll ${name} takes no --${flag}; it takes ${taken.map((each) => `--${each}`).join(", ")}`);
  }
}

/** Throws UsageError: there are more words than the command takes. */
export function noMoreWords(name: string, words: readonly string[]): void {
  if (words.length > 0) {
    throw new UsageError(
      `atoll ${name} takes no ${JSON.stringify(words[0])}; \`atoll help ${name}\` says what it takes`,
    );
  }
}

export function describeUnknown(found: string, known: readonly string[]): string {
  if (!found.startsWith("-")) {
    const meant = nearMiss(found, known);
    return `there is no command ${JSON.stringify(found)}; ${meant === undefined ? `there are ${known.join(", ")}` : `did you mean \`atoll ${meant}\`?`}`;
  }
  const meant = nearMiss(found.replace(/^-+/, ""), known);
  const advice = meant === undefined ? "`atoll help COMMAND` tells its flags" : `did you mean --${meant}?`;
  return `there is no flag ${found}; ${advice} (a message that begins with a dash stands behind --)`;
}

function readValue(rawName: string, rule: FlagRule, value: string | undefined): string | boolean {
  if (rule.type === "boolean") {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value`);
    return true;
  }
  if (value === undefined) throw new UsageError(`${rawName} needs a value: ${rawName} ${rule.value}`);
  return value;
}
