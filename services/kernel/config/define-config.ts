/** The configuration of a mesh as an object of a program: the keys of atoll.yaml, typed, and checked like the file. */
import { join } from "node:path";
import type { MeshConfig } from "../../../gen/atoll/config/v1/mesh_config_pb.ts";
import { loadConfig } from "./load-config.ts";
import type { ResolvedConfig } from "./resolved-config.ts";
import { configFileVariable, type Environment, overridableSettings } from "./settings.ts";

/** A message's fields as the file has them: all may be left out, enums are words, 64-bit numbers are numbers. */
type FileForm<T> = T extends string | boolean
  ? T
  : T extends bigint
    ? number
    : T extends number
      ? number extends T
        ? number
        : string
      : T extends readonly (infer Item)[]
        ? readonly FileForm<Item>[]
        : T extends object
          ? { readonly [Key in Exclude<keyof T, "$typeName" | "$unknown">]?: FileForm<NonNullable<T[Key]>> }
          : T;

/** What each key means, with its unit, bound and default: proto/atoll/config/v1/mesh_config.proto. */
export type MeshConfigInput = FileForm<MeshConfig>;

export interface DefineConfigOptions {
  /** What relative paths start from. Default: the current folder. */
  readonly cwd?: string;
  /** What `${VARIABLE}` stands for, and what MCP servers inherit. Default: the environment of the process. */
  readonly env?: Environment;
}

/**
 * Checks and completes a configuration. The object alone counts: neither a file nor ATOLL_* and ANTHROPIC_* variables
 * change it. Throws ConfigError with every problem. Makes no folder and starts nothing.
 */
export function defineConfig(
  input: MeshConfigInput = {},
  { cwd = process.cwd(), env = process.env }: DefineConfigOptions = {},
): ResolvedConfig {
  const settings = new Set([configFileVariable, ...overridableSettings.map(({ variable }) => variable)]);
  const others = Object.fromEntries(Object.entries(env).filter(([name]) => !settings.has(name)));
  const document = { file: join(cwd, "defineConfig()"), text: JSON.stringify(input) };
  return { ...loadConfig({ document, cwd, env: others, terminal: false }), configFile: undefined };
}
