/**
 * One MCP server from its message: program or address, with variables put in.
 *
 * Keeps L9: what would be ignored (headers of a program, arguments of an address) is a warning, what makes the server
 * unusable a problem; both are told, and no secret is part of them.
 */
import path from "node:path";
import type { McpServer } from "../../../../gen/atoll/config/v1/mcp_server_pb.ts";
import type { ConfigSource } from "../config-error.ts";
import { expandHome } from "../folders/home-folder.ts";
import { keyPath } from "../reading/config-node.ts";
import { quoteText } from "../reading/read-scalar.ts";
import type { HttpMcpServer, ResolvedMcpServer, StdioMcpServer } from "../resolved-config.ts";
import { defaults } from "../settings.ts";
import { parseUrl } from "./addresses.ts";
import { expandVariables, hasBareVariable, type Variables } from "./expand-variables.ts";
import { filesystemCommand, filesystemServerName } from "./filesystem-server.ts";
import { readEnvFile } from "./read-env-file.ts";

export interface McpServerContext {
  readonly variables: Variables;
  /** Where the built-in file server works. */
  readonly workspaceDir: string;
}

/** What is to be said of a key of the server; "" is the server itself. */
export interface ServerNote {
  readonly key: string;
  readonly text: string;
  readonly source?: ConfigSource;
}

export interface ServerReading {
  readonly server: ResolvedMcpServer;
  readonly problems: readonly ServerNote[];
  readonly warnings: readonly ServerNote[];
}

/** Reads files of variables that the server names; starts nothing. */
export function resolveMcpServer(name: string, message: McpServer, context: McpServerContext): ServerReading {
  const problems: ServerNote[] = [];
  const warnings: ServerNote[] = [];
  const texts = new ServerTexts(context.variables, new Set(Object.keys(message.env)), problems, warnings);
  findWrongParts(name, message, problems, warnings);
  const server =
    message.url === ""
      ? resolveStdio(name, message, context, texts)
      : resolveHttp(name, message, texts, (key, text) => problems.push({ key, text }));
  return { server, problems, warnings };
}

const oneOf = "one of `command` (a program) and `url` (an address) is needed";

function findWrongParts(name: string, server: McpServer, problems: ServerNote[], warnings: ServerNote[]): void {
  const has = (key: "args" | "env" | "headers"): boolean => Object.keys(server[key]).length > 0;
  const ignore = (key: string, text: string): void => void warnings.push({ key, text: `it is not used: ${text}` });
  if (server.command !== "" && server.url !== "") {
    problems.push({ key: "", text: `it has both \`command\` and \`url\`: ${oneOf}` });
  } else if (server.url !== "") {
    if (server.type === "stdio")
      problems.push({ key: "type", text: "a `url` is not reached over stdio: `http` would be right" });
    for (const key of ["args", "env"] as const) if (has(key)) ignore(key, "only a program has it");
    for (const key of ["cwd", "envFile"] as const) if (server[key] !== "") ignore(key, "only a program has it");
  } else {
    const builtIn = name === filesystemServerName && server.command === "";
    if (server.command === "" && !builtIn)
      problems.push({ key: "", text: `it has neither \`command\` nor \`url\`: ${oneOf}` });
    else if (server.type === "http" || server.type === "streamable-http") {
      problems.push({ key: "type", text: `${JSON.stringify(server.type)} needs a \`url\`; a program is \`stdio\`` });
    }
    if (has("headers")) ignore("headers", "only an address has them");
    if (builtIn && has("args")) ignore("args", "only with a `command`");
  }
}

function resolveStdio(
  name: string,
  server: McpServer,
  { variables, workspaceDir }: McpServerContext,
  texts: ServerTexts,
): StdioMcpServer {
  const folder = (key: "cwd" | "envFile"): string => path.resolve(variables.baseDir, texts.path(key, server[key]));
  const isBuiltIn = name === filesystemServerName && server.command === "";
  const program = isBuiltIn
    ? filesystemCommand(workspaceDir)
    : {
        command: texts.path("command", server.command),
        args: server.args.map((arg, index) => texts.argument(`args[${index}]`, arg)),
      };
  const fromFile = server.envFile === "" ? {} : texts.fromFile(folder("envFile"));
  return {
    ...baseOf(name, server),
    transport: "stdio",
    ...program,
    env: { ...fromFile, ...texts.entries("env", server.env) },
    cwd: server.cwd === "" ? (isBuiltIn ? workspaceDir : variables.baseDir) : folder("cwd"),
    written: isBuiltIn ? { ...writtenOf(server), ...program } : writtenOf(server),
  };
}

function resolveHttp(
  name: string,
  server: McpServer,
  texts: ServerTexts,
  fail: (key: string, text: string) => void,
): HttpMcpServer {
  const headers = texts.entries("headers", server.headers);
  for (const [header, value] of Object.entries(headers)) {
    const key = keyPath("headers", header);
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header)) fail(key, "HTTP does not allow this name of a header");
    else if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      fail(key, "HTTP does not allow its value: one line of Latin-1 text");
  }
  const url = texts.expand("url", server.url).trim();
  const parsed = parseUrl(url);
  // As it was written: what a variable put in can be a secret.
  if (!("value" in parsed)) fail("url", `${quoteText(server.url)} is not ${parsed.expected}`);
  // The address is used as it was written: a slash at its end can matter to the server.
  return { ...baseOf(name, server), transport: "http", url, headers, written: writtenOf(server) };
}

function writtenOf({ command, args, url, env, headers }: McpServer) {
  return { command, args: [...args], url, env: { ...env }, headers: { ...headers } };
}

function baseOf(name: string, server: McpServer) {
  return {
    name,
    title: server.title,
    disabled: server.disabled,
    problem: "",
    startTimeoutMs: server.startTimeoutMs || defaults.mcpServer.startTimeoutMs,
    callTimeoutMs: server.callTimeoutMs || defaults.mcpServer.callTimeoutMs,
    callMaxDurationMs: server.callMaxDurationMs || defaults.mcpServer.callMaxDurationMs,
    repeatableTools: [...server.repeatableTools],
    includeTools: [...server.includeTools],
    excludeTools: [...server.excludeTools],
    trusted: server.trusted ?? true,
  };
}

/** Texts of a server with variables and `~` put in; what can't be put in is noted and stays as it is written. */
class ServerTexts {
  readonly #variables: Variables;
  /** Variables that the server itself gets. */
  readonly #ownNames: ReadonlySet<string>;
  readonly #problems: ServerNote[];
  readonly #warnings: ServerNote[];

  constructor(variables: Variables, ownNames: ReadonlySet<string>, problems: ServerNote[], warnings: ServerNote[]) {
    this.#variables = variables;
    this.#ownNames = ownNames;
    this.#problems = problems;
    this.#warnings = warnings;
  }

  expand(key: string, text: string): string {
    if (hasBareVariable(text, this.#variables.env, this.#ownNames)) {
      this.#warnings.push({ key, text: `a \`$\` without braces is left as it is: \`\${NAME}\` is a variable` });
    }
    const expansion = expandVariables(text, this.#variables);
    if ("value" in expansion) return expansion.value;
    if ("missing" in expansion) {
      const text = `it needs ${expansion.missing}${expansion.missing.startsWith("the variable") ? ", which is not set" : ""}`;
      this.#problems.push({ key, text });
    } else this.#problems.push({ key, text: `it holds ${expansion.malformed}` });
    return text;
  }

  /** Another user's home is a problem. */
  path(key: string, text: string): string {
    const expanded = this.expand(key, text);
    const inHome = expandHome(expanded, this.#variables.env);
    if ("value" in inHome) return inHome.value;
    this.#problems.push({ key, text: `${quoteText(text)} is in another user's home: write the whole path` });
    return expanded;
  }

  /** `~/` is the home folder; other tildes are the program's business. */
  argument(key: string, text: string): string {
    const expanded = this.expand(key, text);
    const inHome = expandHome(expanded, this.#variables.env);
    return "value" in inHome ? inHome.value : expanded;
  }

  entries(key: "env" | "headers", entries: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(
      Object.entries(entries).map(([name, text]) => [name, this.expand(keyPath(key, name), text)]),
    );
  }

  fromFile(file: string): Readonly<Record<string, string>> {
    const read = readEnvFile(file);
    if ("env" in read) return read.env;
    this.#problems.push({ key: "envFile", text: `${file} ${read.problem}` });
    return {};
  }
}
