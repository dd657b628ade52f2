/** Finds the command, runs it and answers for what it throws. Exit codes: 0 done, 1 failed, 2 usage or configuration. */
import { parseArgs } from "node:util";
import { ConnectError } from "@connectrpc/connect";
import { ConfigError } from "../kernel/config/config-error.ts";
import { DataDirError } from "../kernel/config/data-dir.ts";
import { loadConfig } from "../kernel/config/load-config.ts";
import { ListenError } from "../kernel/rpc/listen-error.ts";
import { StoreUnavailable } from "../kernel/store/store-errors.ts";
import { PeerMissing } from "../mesh.ts";
import { type Command, type CommandFlags, type Output, UsageError } from "./command.ts";
import { MeshNotRunning } from "./connect-mesh.ts";
import { describeFailure } from "./describe-failure.ts";
import { readVersion } from "./version.ts";

/** Loaded when they are run, so that `atoll chat` does not wait for what only `atoll up` needs. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import("./up.ts")).up,
  serve: async () => (await import("./up.ts")).serve,
  chat: async () => (await import("./chat.ts")).chat,
  tail: async () => (await import("./tail.ts")).tail,
  export: async () => (await import("./export.ts")).exportSession,
  sessions: async () => (await import("./sessions.ts")).sessions,
  tools: async () => (await import("./tools.ts")).tools,
  token: async () => (await import("./token.ts")).token,
  doctor: async () => (await import("./doctor.ts")).doctor,
};

const options = {
  listen: { type: "string" },
  data: { type: "string" },
  config: { type: "string" },
  "log-level": { type: "string" },
  session: { type: "string" },
  agent: { type: "string" },
  toolrouter: { type: "string" },
  services: { type: "string" },
  url: { type: "string" },
  json: { type: "boolean" },
  link: { type: "boolean" },
  follow: { type: "boolean", short: "f" },
  after: { type: "string" },
  to: { type: "string" },
  model: { type: "string" },
  call: { type: "string" },
  format: { type: "string" },
  output: { type: "string", short: "o" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "v" },
} as const;

const flagTexts: Readonly<Record<keyof CommandFlags, string>> = {
  listen: "--listen HOST:PORT     where the mesh listens (ATOLL_LISTEN; default 127.0.0.1:18789)",
  data: "--data FOLDER          stores, token and keys (ATOLL_DATA; default .atoll)",
  config: "--config FILE          the configuration (ATOLL_CONFIG; default atoll.yaml)",
  "log-level": "--log-level LEVEL      trace, debug, info, warn, error or silent (ATOLL_LOG_LEVEL; default info)",
  session: "--session URL          where the session service is (ATOLL_SESSION_URL)",
  agent: "--agent URL            where the agent service is (ATOLL_AGENT_URL)",
  toolrouter: "--toolrouter URL       where the tool router is (ATOLL_TOOLROUTER_URL)",
  services: "--services LIST        of session, toolrouter, agent, gateway; comma between them",
  url: "--url URL              the mesh to talk to (default: the one of the data folder)",
  json: "--json                 one JSON object a line",
  link: "--link                 a one-time link to the web page instead of the token",
  follow: "--follow, -f           go on with what comes",
  after: "--after SEQ            only what comes after this seq (default 0)",
  to: "--to SESSION           the session: an id (ses_…), or a key such as boats (default agent:main:cli)",
  model: "--model NAME           the model of this run",
  call: "--call JSON            call the tool with these arguments",
  format: "--format FORMAT        jsonl (default) or markdown",
  output: "--output, -o FILE      where to write it (default: standard output)",
  help: "--help, -h             this text",
  version: "--version, -v          the version",
};

export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const output: Output = {
    write: (text) => void process.stdout.write(text),
    line: (text = "") => void process.stdout.write(`${text}\n`),
    note: (text) => void process.stderr.write(`${text}\n`),
    isTerminal: process.stdout.isTTY,
  };
  // A reader that leaves early (`atoll tail | head`) is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  try {
    return await dispatch(argv, output);
  } catch (error) {
    return explain(error, output);
  }
}

async function dispatch(argv: readonly string[], output: Output): Promise<number> {
  const { values: flags, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  if (flags.version === true) {
    output.line(readVersion());
    return 0;
  }
  const [name, ...words] = positionals;
  if (name === undefined) {
    output.line(await describeAll());
    return flags.help === true ? 0 : 2;
  }
  const load = commands[name];
  if (load === undefined)
    throw new UsageError(`no such command: ${name}. There are: ${Object.keys(commands).join(", ")}`);
  const command = await load();
  if (flags.help === true) {
    output.line(describe(name, command));
    return 0;
  }
  const config = () => loadConfig({ flags: { ...flags, logLevel: flags["log-level"] } });
  return command.run({ flags, words, config, output });
}

async function describeAll(): Promise<string> {
  const lines = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => `  ${name.padEnd(10)}${(await load()).summary}`),
  );
  return [
    `atoll ${readVersion()}`,
    "",
    "usage: atoll COMMAND",
    "",
    ...lines,
    "",
    "atoll COMMAND --help tells more.",
  ].join("\n");
}

function describe(name: string, command: Command): string {
  const flags = [...command.flags, "config", "data", "help"] as const;
  const texts = [...new Set(flags)].map((flag) => `  ${flagTexts[flag]}`);
  return [`usage: atoll ${name} ${command.usage}`.trimEnd(), "", command.summary, "", ...texts].join("\n");
}

function explain(error: unknown, output: Output): number {
  if (
    error instanceof UsageError ||
    (error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS"))
  ) {
    output.note(`atoll: ${error.message}`);
    return 2;
  }
  if (error instanceof ConfigError) {
    output.note(error.message);
    return 2;
  }
  if (
    error instanceof DataDirError ||
    error instanceof ListenError ||
    error instanceof StoreUnavailable ||
    error instanceof PeerMissing ||
    error instanceof MeshNotRunning
  ) {
    output.note(`atoll: ${error.message}`);
    return 1;
  }
  if (error instanceof ConnectError) {
    output.note(`atoll: ${describeFailure(error)}`);
    return 1;
  }
  output.note(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
}
