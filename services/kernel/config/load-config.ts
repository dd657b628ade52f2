/**
 * The configuration of a mesh, read once at the start. The only folder that reads `process.env` is this one.
 *
 * Keeps: a flag beats the environment, the environment beats the file, the file beats the default. A wrong key or value
 * stops the start with all problems at once; what is wrong with an MCP server costs that server alone (F1).
 */
import path from "node:path";
import { ConfigError, type ConfigProblem } from "./config-error.ts";
import type { ConfigWarning } from "./config-warning.ts";
import { findServers, isInServers } from "./dialects/find-servers.ts";
import type { ConfigMap } from "./reading/config-node.ts";
import { findConfigFile, usualNames } from "./reading/find-config-file.ts";
import { overlaySettings } from "./reading/overlay-settings.ts";
import { parseDocument } from "./reading/parse-document.ts";
import { ownKeyKinds, readConfig } from "./reading/read-config.ts";
import type { ResolvedConfig } from "./resolved-config.ts";
import { resolveConfig } from "./resolving/resolve-config.ts";
import type { ConfigFlags, Environment } from "./settings.ts";

export interface LoadConfigOptions {
  /** Default: none. */
  readonly flags?: ConfigFlags;
  /** Default: the environment of the process. */
  readonly env?: Environment;
  /** What stands for the file; then none is looked for. `file` is its name in messages. */
  readonly document?: { readonly file: string; readonly text: string };
  /** What relative paths start from, but those of MCP servers in a file. Default: the current folder. */
  readonly cwd?: string;
  /** Whether the log goes to a terminal, which makes it pretty by default. Default: whether stderr is one. */
  readonly terminal?: boolean;
}

/** Reads the configuration. Throws ConfigError with every problem. Makes no folder and starts nothing. */
export function loadConfig(options: LoadConfigOptions = {}): ResolvedConfig {
  const { flags = {}, env = process.env, cwd = process.cwd(), terminal = process.stderr.isTTY } = options;
  const problems: ConfigProblem[] = [];
  const warnings: ConfigWarning[] = [];
  const report = (problem: ConfigProblem): void => void problems.push(problem);
  const warn = (warning: ConfigWarning): void => void warnings.push(warning);
  const file = options.document ?? findConfigFile(flags, env, cwd, report);
  const reports = { report, warn, isLenient: isInServers };
  const tree = (file === undefined ? undefined : parseDocument(file.text, file.file, reports)) ?? emptyTree;
  const isNamed = file !== undefined && "isNamed" in file && file.isNamed === true;
  const mayBeForeign = isNamed && !usualNames.includes(path.basename(file.file));
  const found = findServers(tree, { ownKeys: ownKeyKinds, mayBeForeign, warn });
  const reading = readConfig(overlaySettings(found.rest, flags, env), report);
  const configFile = options.document === undefined ? file?.file : undefined;
  const config = resolveConfig(reading, { found, configFile, cwd, env, terminal, report, warn });
  if (problems.length > 0) throw new ConfigError(problems);
  return { ...config, warnings };
}

const emptyTree: ConfigMap = { kind: "map", source: { from: "default" }, entries: [] };
