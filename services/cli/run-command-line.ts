/**
 * Finds the command, runs it and answers for what it throws. Exit codes: 0 done, 1 failed, 2 usage or configuration.
 *
 * What a command does not need is not loaded for it: help and a wrong flag are answered at once.
 */
import { readClientEnvironment } from "../kernel/config/client-environment.ts";
import { readVersion } from "../kernel/package-files.ts";
import { type Command, type Output, UsageError } from "./command.ts";
import { commands, describeAll, describeOne } from "./commands.ts";
import { commonFlags } from "./flags.ts";
import { checkFlags, describeUnknown, noMoreWords, parseCommandLine } from "./parse-command-line.ts";
import { createOutput } from "./terminal/output.ts";

export async function runCommandLine(argv: readonly string[]): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) {
    // A reader that leaves early (`atoll tail | head`) is no failure.
    stream.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  }
  const output = createOutput({
    out: process.stdout,
    err: process.stderr,
    isJson: argv.slice(0, argv.includes("--") ? argv.indexOf("--") : argv.length).includes("--json"),
    isPlain: readClientEnvironment().isPlain,
  });
  try {
    return await dispatch(argv, output);
  } catch (error) {
    const { explainFailure } = await import("./explain-failure.ts");
    const { facts, exitCode } = explainFailure(error);
    output.failure(facts);
    return exitCode;
  } finally {
    output.endLine();
  }
}

async function dispatch(argv: readonly string[], output: Output): Promise<number> {
  const { name, words, flags } = parseCommandLine(argv);
  if (name === "version" || (name === undefined && flags.version === true)) {
    noMoreWords("version", words);
    output.line(readVersion());
    return 0;
  }
  if (name === undefined || name === "help") return help(words, name === undefined && flags.help !== true, output);
  const command = await find(name);
  if (flags.help === true) return help([name], false, output);
  checkFlags(name, flags, [...command.flags, ...commonFlags]);
  const { loadConfig } = await import("../kernel/config/load-config.ts");
  const config = () => loadConfig({ flags: { ...flags, logLevel: flags["log-level"] } });
  return command.run({ flags, words, config, output });
}

async function find(name: string): Promise<Command> {
  const load = commands.get(name);
  if (load === undefined) throw new UsageError(describeUnknown(name, [...commands.keys(), "help", "version"]));
  return load();
}

/** @param isAsked False when somebody named no command: then it is no result. */
async function help(words: readonly string[], isMissing: boolean, output: Output): Promise<number> {
  const [name, ...others] = words;
  noMoreWords("help", others);
  const lines = name === undefined ? await describeAll() : describeOne(name, await find(name));
  for (const line of lines) (isMissing ? output.note : output.line)(line);
  return isMissing ? 2 : 0;
}
