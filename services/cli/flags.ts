/** The flags of all commands: how they are written, and what they mean. */

export interface FlagRule {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** May be given several times. */
  readonly multiple?: true;
  /** What stands for its value in the usage text. */
  readonly value?: string;
  readonly text: string;
}

export const flagRules = {
  listen: {
    type: "string",
    value: "HOST:PORT",
    text: "where the mesh listens (ATOLL_LISTEN; default 127.0.0.1:18789)",
  },
  data: { type: "string", value: "FOLDER", text: "stores, token and keys (ATOLL_DATA; default .atoll)" },
  config: { type: "string", value: "FILE", text: "the configuration (ATOLL_CONFIG; default atoll.yaml)" },
  "log-level": {
    type: "string",
    value: "LEVEL",
    text: "trace, debug, info, warn, error or silent (ATOLL_LOG_LEVEL; default info)",
  },
  session: { type: "string", value: "URL", text: "where the session service is (ATOLL_SESSION_URL)" },
  agent: { type: "string", value: "URL", text: "where the agent service is (ATOLL_AGENT_URL)" },
  toolrouter: { type: "string", value: "URL", text: "where the tool router is (ATOLL_TOOLROUTER_URL)" },
  services: { type: "string", value: "LIST", text: "of session, toolrouter, agent, gateway; comma between them" },
  url: { type: "string", value: "URL", text: "the mesh to talk to (ATOLL_URL; default: the one of the data folder)" },
  token: {
    type: "string",
    value: "TOKEN",
    text: "the token to talk to it with (ATOLL_TOKEN, which other users of the machine can't see)",
  },
  json: { type: "boolean", text: "one JSON object a line" },
  link: { type: "boolean", text: "a one-time link to the web page instead of the token" },
  follow: { type: "boolean", short: "f", text: "go on with what comes" },
  after: { type: "string", value: "SEQ", text: "only what comes after this seq (default 0)" },
  to: { type: "string", value: "SESSION", text: "an id (ses_…), or a key such as boats (default agent:main:cli)" },
  new: { type: "boolean", text: "begin a new session, without a key" },
  model: { type: "string", value: "NAME", text: "the model of this run" },
  label: {
    type: "string",
    multiple: true,
    value: "NAME=VALUE",
    text: "only sessions with this label; may be given several times",
  },
  call: { type: "string", value: "JSON", text: "call the tool with these arguments" },
  format: { type: "string", value: "FORMAT", text: "jsonl (default) or markdown" },
  output: { type: "string", short: "o", value: "FILE", text: "where to write it (default: standard output)" },
  help: { type: "boolean", short: "h", text: "this text" },
  version: { type: "boolean", short: "v", text: "the version" },
} as const satisfies Readonly<Record<string, FlagRule>>;

export type FlagName = keyof typeof flagRules;

type ValueOf<R> = R extends { multiple: true } ? readonly string[] : R extends { type: "boolean" } ? boolean : string;

/** Those that were given. */
export type CommandFlags = { readonly [Name in FlagName]?: ValueOf<(typeof flagRules)[Name]> | undefined };

/** Every command takes these. */
export const commonFlags = ["config", "data", "help"] as const satisfies readonly FlagName[];

/** Every command that talks to a mesh takes these. */
export const clientFlags = ["json", "url", "token"] as const satisfies readonly FlagName[];

/** A flag's line in the usage text. */
export function describeFlag(name: FlagName): string {
  const rule: FlagRule = flagRules[name];
  const written = `--${name}${rule.short === undefined ? "" : `, -${rule.short}`}`;
  return `${`${written} ${rule.value ?? ""}`.trimEnd().padEnd(24)}${rule.text}`;
}
