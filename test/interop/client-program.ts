/**
 * A client that is a program of its own: lines in, lines out, an exit code.
 *
 * Keeps L7: a program that takes longer than its bound is killed, and the test fails with what it wrote.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface ProgramEnd {
  /** The exit code, or the name of the signal that ended it. */
  readonly code: number | string;
  /** All of its standard error. */
  readonly errors: string;
}

export interface ClientProgram {
  readonly write: (text: string) => void;
  /** Closes its standard input. */
  readonly end: () => void;
  readonly lines: AsyncIterable<string>;
  readonly ended: Promise<ProgramEnd>;
}

export interface ProgramOptions {
  /** Over the inherited environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: this process's own. */
  readonly cwd?: string;
  /** When it is killed. Default 60 000. */
  readonly timeoutMs?: number;
}

const programTimeoutMs = 60_000;

export function startProgram(command: string, args: readonly string[], options: ProgramOptions = {}): ClientProgram {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs ?? programTimeoutMs,
    killSignal: "SIGKILL",
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    errors += chunk;
  });
  // A program that refuses early closes its input while we still write.
  child.stdin.on("error", () => {});
  const ended = new Promise<ProgramEnd>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code: code ?? signal ?? "unknown", errors }));
  });
  return {
    write: (text) => child.stdin.write(text),
    end: () => child.stdin.end(),
    lines: createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY }),
    ended,
  };
}

/** Runs a program without input to its end. Throws with its standard error unless it exits with 0. */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<string> {
  const program = startProgram(command, args, options);
  program.end();
  const output: string[] = [];
  for await (const line of program.lines) output.push(line);
  const { code, errors } = await program.ended;
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}\n${errors}`);
  return output.join("\n");
}
