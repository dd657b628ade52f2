/**
 * Finds and reads the configuration file.
 *
 * Keeps: a file that was asked for must exist; two candidates in one folder are a problem, not a guess. L7: at most 4 MiB
 * are read, also from a pipe.
 */
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import path from "node:path";
import type { ConfigSource, ReportProblem } from "../config-error.ts";
import { expandHome } from "../folders/home-folder.ts";
import { type ConfigFlags, configFileVariable, type Environment } from "../settings.ts";
import { decodeText } from "./decode-text.ts";

export const usualNames: readonly string[] = ["atoll.yaml", "atoll.yml", "atoll.json"];
const maxFileBytes = 4 * 1024 * 1024;
const ways = `Name a file with --config or ${configFileVariable}; default ${usualNames.join(", ")} in the current folder.`;

export interface ConfigFile {
  /** Absolute. */
  readonly file: string;
  /** Its lines end with LF. */
  readonly text: string;
  /** Whether a flag or variable named it. */
  readonly isNamed: boolean;
}

/** The file, or undefined when there is none or a problem was reported. */
export function findConfigFile(
  flags: ConfigFlags,
  env: Environment,
  cwd: string,
  report: ReportProblem,
): ConfigFile | undefined {
  const variable = env[configFileVariable];
  const readNamed = (name: string, source: ConfigSource): ConfigFile | undefined => {
    const expanded = expandHome(name, env);
    if ("value" in expanded) return read(path.resolve(cwd, expanded.value), source, report);
    report({ path: "", found: name, ...expanded, source });
    return undefined;
  };
  if (flags.config !== undefined) return readNamed(flags.config, { from: "flag", name: "config" });
  if (variable !== undefined && variable !== "") {
    return readNamed(variable, { from: "environment", name: configFileVariable });
  }
  const [first, second] = usualNames.map((name) => path.join(cwd, name)).filter((file) => existsSync(file));
  if (first === undefined) return undefined;
  const source: ConfigSource = { from: "file", file: first };
  if (second !== undefined) {
    report({ path: "", found: `${second} beside it`, expected: "one configuration file", hint: ways, source });
    return undefined;
  }
  return read(first, source, report);
}

function read(file: string, source: ConfigSource, report: ReportProblem): ConfigFile | undefined {
  const fail = (found: string, expected: string): undefined => {
    report({ path: "", found, expected, hint: ways, source });
    return undefined;
  };
  let bytes: Buffer;
  try {
    bytes = readBounded(file);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return fail(
      code === "ENOENT" ? `no file ${file}` : `${file}, which can't be read (${code})`,
      "a file that can be read",
    );
  }
  if (bytes.length > maxFileBytes) return fail(`more than ${maxFileBytes} bytes in ${file}`, `at most ${maxFileBytes}`);
  const decoded = decodeText(bytes);
  if ("problem" in decoded) return fail(`${decoded.problem} in ${file}`, "UTF-8 or UTF-16 text");
  return { file, text: decoded.text, isNamed: source.from !== "file" };
}

/** Up to one byte more than is allowed, so that the caller sees that there was more. */
function readBounded(file: string): Buffer {
  const descriptor = openSync(file, "r");
  try {
    const chunks: Buffer[] = [];
    for (let total = 0; total <= maxFileBytes; ) {
      const chunk = Buffer.allocUnsafe(65_536);
      const count = readSync(descriptor, chunk);
      if (count === 0) break;
      chunks.push(chunk.subarray(0, count));
      total += count;
    }
    return Buffer.concat(chunks);
  } finally {
    closeSync(descriptor);
  }
}
