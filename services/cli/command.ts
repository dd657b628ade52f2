/** What a command of the command line is given, and what it gives back. */
import type { ResolvedConfig } from "../kernel/config/resolved-config.ts";
import type { CommandFlags } from "./flags.ts";

export interface CommandInput {
  readonly flags: CommandFlags;
  /** What stands behind the command's name. */
  readonly words: readonly string[];
  /** Read when it is asked for: `--help` must work with a broken configuration. */
  readonly config: () => ResolvedConfig;
  readonly output: Output;
}

export type TextStyle = "dim";

/** Every text is made visible on its way (output.ts): nothing in it is a command to a terminal. */
export interface Output {
  /** Writes a line of the result to standard output; what it has behind a line break is indented. */
  readonly line: (text?: string, style?: TextStyle) => void;
  /** Writes a part of the result as it comes; line breaks in it are line breaks. */
  readonly text: (text: string) => void;
  /** Writes a JSON text as a line of the result. */
  readonly json: (text: string) => void;
  /** Writes a result of any length, no faster than it is taken. */
  readonly pipe: (chunks: AsyncIterable<string>) => Promise<void>;
  /** Writes a line to standard error, for what is no result; `{"note": …}` with --json. */
  readonly note: (text: string, style?: TextStyle) => void;
  /** Writes a part of what is no result, as it comes; nothing with --json, which has it as an event. */
  readonly aside: (text: string) => void;
  /** Says on standard error why the command failed; `{"error": …}` with --json. */
  readonly failure: (facts: FailureFacts) => void;
  /** Ends the line of a text that is not at the end of its line. */
  readonly endLine: () => void;
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
}

export interface FailureFacts {
  /** As Connect has it: `not_found`. */
  readonly code: string;
  /** A name of ErrorReason, or one of the command line's own: USAGE, CONFIG_INVALID, MESH_NOT_RUNNING … */
  readonly reason?: string | undefined;
  readonly message: string;
  readonly fields?: readonly { readonly path: string; readonly problem: string }[];
  /** The message is the command line's own, and says all that a person needs. */
  readonly isOwnWords?: true;
}

export interface Command {
  /** The words behind the name, for the usage line. */
  readonly usage: string;
  readonly summary: string;
  /** What else is to be known, for the usage text; lines. */
  readonly details?: readonly string[];
  /** Flags beside `config`, `data` and `help`, which every command takes. */
  readonly flags: readonly (keyof CommandFlags)[];
  /** Resolves to the exit code. */
  readonly run: (input: CommandInput) => Promise<number>;
}

/** The words or flags of a command are off; the message says how. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
