/** What a command of the command line is given, and what it gives back. */
import type { ResolvedConfig } from "../kernel/config/resolved-config.ts";

/** Flags that every command takes. */
export interface CommandFlags {
  readonly listen?: string | undefined;
  readonly data?: string | undefined;
  readonly config?: string | undefined;
  readonly "log-level"?: string | undefined;
  readonly session?: string | undefined;
  readonly agent?: string | undefined;
  readonly toolrouter?: string | undefined;
  readonly services?: string | undefined;
  readonly url?: string | undefined;
  readonly json?: boolean | undefined;
  readonly link?: boolean | undefined;
  readonly follow?: boolean | undefined;
  readonly after?: string | undefined;
  readonly to?: string | undefined;
  readonly model?: string | undefined;
  readonly call?: string | undefined;
  readonly format?: string | undefined;
  readonly output?: string | undefined;
  readonly help?: boolean | undefined;
  readonly version?: boolean | undefined;
}

export interface CommandInput {
  readonly flags: CommandFlags;
  /** What stands behind the command's name. */
  readonly words: readonly string[];
  /** Read when it is asked for: `--help` must work with a broken configuration. */
  readonly config: () => ResolvedConfig;
  readonly output: Output;
}

export interface Output {
  /** Writes to standard output, as it is. */
  readonly write: (text: string) => void;
  readonly line: (text?: string) => void;
  /** Writes to standard error, for what is no result. */
  readonly note: (text: string) => void;
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
}

export interface Command {
  /** The words behind the name, for the usage line. */
  readonly usage: string;
  readonly summary: string;
  /** Flags beside the common ones, for the usage text. */
  readonly flags: readonly (keyof CommandFlags)[];
  /** Resolves to the exit code. */
  readonly run: (input: CommandInput) => Promise<number>;
}

/** The words or flags of a command are off; the message says how. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
